#!/bin/sh
# Says in one line what to do when this machine cannot hold the environment.
python=$1
fail() { echo "graft: $1" >&2; exit 1; }
command -v "$python" >/dev/null 2>&1 || fail "no '$python' found; install Python 3.11 or name it: make PYTHON=/path/to/python3.11"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "'$python' does not run; name a Python 3.11: make PYTHON=/path/to/python3.11"
[ "$version" = 3.11 ] || fail "the locked environment needs Python 3.11, '$python' is $version; name one: make PYTHON=/path/to/python3.11"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "this Python lacks venv; on Debian: apt-get install python3.11-venv"
command -v "${CC:-gcc}" >/dev/null 2>&1 || fail "no C compiler '${CC:-gcc}'; some packages are built from source; on Debian: apt-get install gcc python3-dev"
free=$(df -Pk . | awk 'NR==2 {print $4}')
[ "$free" -ge "${GRAFT_MIN_FREE_KB:-8000000}" ] || fail "only $((free / 1024)) MiB free in $(pwd); the environment and a run need 8 GB"
