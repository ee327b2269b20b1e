# shellcheck shell=bash
# For scripts that take packages from another release of Debian than this system's; they source it.
#
# They set `cache`, a folder, `python`, the program in it, and `works`, which says whether it does. The mirror is the
# one that this machine's apt uses, and apt checks its signatures. No root, and nothing of the system changes: lists,
# downloads and the record of what is installed, which is nothing, lie in `scratch`, which goes when the script ends.

say() { printf '%s\n' "$*" >&2; }
quietly() { "$@" >>"$log" 2>&1 || { tail -n 40 "$log" >&2; say "failed: $* (all of it: $log)"; exit 1; }; }

# once NAME: print `python` and end the script when it `works`. Else go on, alone, with a new log in `cache`.
once() {
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9 # another that makes it now is waited for
    if works; then
        echo "$python"
        exit
    fi
    log=$cache/$1.log
    : >"$log"
}

# open_release TYPE SUITE [OPTION...]: have `apt` see the deb or deb-src of a release, and nothing else.
open_release() {
    local mirror type=$1 suite=$2
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 'Origin: Debian' 2>/dev/null | sort -u | head -n 1)
    [ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(SITE)' | sort -u | head -n 1)
    [ -n "$mirror" ] || { say "apt knows no mirror on this machine: run apt-get update"; exit 1; }
    mkdir -p "$scratch"/{lists/partial,cache/archives/partial,sources}
    : >"$scratch/status"
    cat >"$scratch/sources/release.sources" <<SOURCES
Types: $type
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
    apt_options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$scratch/sources"
        -o "Dir::State::lists=$scratch/lists" -o "Dir::State::status=$scratch/status" -o "Dir::Cache=$scratch/cache"
        -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 "${@:3}")
    quietly apt update
}
apt() { apt-get "${apt_options[@]}" "$@"; }
