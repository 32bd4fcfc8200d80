#!/bin/sh
# Prints the lock that fits this Python and the C library of this machine; where none does, says so in one line.
# TFX 1.16 is the last with wheels for glibc before 2.39, TFX 1.21 the first for Python 3.12 and newer.
python=$1
fail() { echo "graft: $1" >&2; exit 1; }
command -v "$python" >/dev/null 2>&1 || fail "no '$python' found; install Python 3.11 or name it: make PYTHON=/path/to/python3.11"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "'$python' does not run; name a Python 3.11: make PYTHON=/path/to/python3.11"
case $version in
3.11) echo requirements.lock ;;
3.12 | 3.13)
	glibc=$("$python" -c 'import os; print(os.confstr("CS_GNU_LIBC_VERSION").split()[1])' 2>/dev/null)
	major=${glibc%%.*} minor=${glibc#*.}
	if [ "${major:-0}" -gt 2 ] || { [ "${major:-0}" -eq 2 ] && [ "${minor%%.*}" -ge 39 ]; }; then
		echo requirements-tfx121.lock
	else
		fail "for Python $version the locked environment needs glibc 2.39 or newer, this machine has ${glibc:-none}; name a Python 3.11: make PYTHON=/path/to/python3.11"
	fi ;;
*) fail "the locked environment needs Python 3.11, or 3.12 or 3.13 with glibc 2.39 or newer; '$python' is $version; name one: make PYTHON=/path/to/python3.11" ;;
esac
