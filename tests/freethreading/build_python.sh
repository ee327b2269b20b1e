#!/usr/bin/env bash
# Builds a free-threaded CPython from Debian's source package, once, and prints the path of its interpreter.
#
#   tests/freethreading/build_python.sh
#   PYPELN_PYTHON_CACHE=/somewhere tests/freethreading/build_python.sh
#
# It stays in $PYPELN_PYTHON_CACHE, or else in the user's cache directory (XDG_CACHE_HOME), so that only the first
# call takes the minutes. Needs apt, a C compiler and the headers that CPython wants (libffi, openssl, zlib);
# the mirror is the one that this machine's apt uses, and apt checks its signatures. No root, and nothing of the
# system changes: lists and downloads lie in a directory of their own.
set -euo pipefail

package=python3.13
suite=trixie
cache=${PYPELN_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pypeln/$package-freethreaded}
python=$cache/bin/python3.13t

works() { [ -x "$python" ] && "$python" -c 'import sys, ctypes, ssl, zlib; sys.exit(sys._is_gil_enabled())' 2>/dev/null; }
say() { printf '%s\n' "$*" >&2; }

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # another that builds it now is waited for
if works; then
    echo "$python"
    exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$cache/build.log
: >"$log"
quietly() { "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2; say "failed: $* (all of it: $log)"; exit 1; }; }

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 'Origin: Debian' 2>/dev/null | sort -u | head -n 1)
[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(SITE)' | sort -u | head -n 1)
[ -n "$mirror" ] || { say "apt knows no mirror on this machine: run apt-get update"; exit 1; }

mkdir -p "$scratch"/{lists/partial,cache/archives/partial,sources}
cat >"$scratch/sources/source.sources" <<SOURCES
Types: deb-src
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
apt() {
    apt-get -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$scratch/sources" \
        -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o APT::Sandbox::User="$(id -un)" \
        -o Debug::NoLocking=1 "$@"
}
say "downloading the source of $package"
quietly apt update
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
