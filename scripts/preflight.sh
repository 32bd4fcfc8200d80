#!/bin/sh
# Says in one line what to do when this machine cannot hold the environment.
python=$1
fail() { echo "graft: $1" >&2; exit 1; }
system=${GRAFT_SYSTEM:-$(uname -sm)}
[ "$system" = "Linux x86_64" ] || fail "TFX has packages for Linux on x86_64 only, this is $system; use such a machine, or a container or virtual machine of that kind"
"$(dirname "$0")/stack.sh" "$python" >/dev/null || exit 1
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "this Python lacks venv; on Debian: apt-get install python3-venv"
command -v "${CC:-gcc}" >/dev/null 2>&1 || fail "no C compiler '${CC:-gcc}'; some packages are built from source; on Debian: apt-get install gcc g++ python3-dev"
free=$(df -Pk . | awk 'NR==2 {print $4}')
[ "$free" -ge "${GRAFT_MIN_FREE_KB:-8000000}" ] || fail "only $((free / 1024)) MiB free in $(pwd); the environment and a run need 8 GB"
