#!/usr/bin/env bash
# Builds a free-threaded CPython from Debian's source package, once, and prints the path of its interpreter.
#
#   tests/freethreading/build_python.sh
#   PYPELN_PYTHON_CACHE=/somewhere tests/freethreading/build_python.sh
#
# It stays below $PYPELN_PYTHON_CACHE, or else the user's cache directory (XDG_CACHE_HOME), so that only the first
# call takes the minutes. Needs apt, a C compiler and the headers that CPython wants (libffi, openssl, zlib).
set -euo pipefail
. "$(dirname "$0")/../support/debian.sh"

package=python3.13
suite=trixie
cache=${PYPELN_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pypeln}/$package-freethreaded
python=$cache/bin/python3.13t

works() { [ -x "$python" ] && "$python" -c 'import sys, ctypes, ssl, zlib; sys.exit(sys._is_gil_enabled())' 2>/dev/null; }

once build
say "downloading the source of $package"
open_release deb-src "$suite"
# The upstream tarball is all that is wanted: Debian's patches are about where Debian puts files.
(cd "$scratch" && quietly apt source --download-only "$package")
mkdir "$scratch/tree"
tar -xf "$scratch"/"$package"_*.orig.tar.xz -C "$scratch/tree" --strip-components=1

say "building it, which takes minutes"
cd "$scratch/tree"
quietly ./configure --prefix="$cache" --disable-gil --with-ensurepip=install --disable-test-modules OPT="-O2 -DNDEBUG"
quietly make -j"${PYPELN_BUILD_JOBS:-2}"
quietly make install
works || { say "what was built is no working free-threaded Python (see $log)"; exit 1; }
echo "$python"
