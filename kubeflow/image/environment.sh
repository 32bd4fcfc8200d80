#!/bin/sh
# Stage builder: the locked environment in /opt/graft, without anything for developers; with CUDA's libraries where GPU is set.
set -eu
[ ! -s /run/secrets/ca ] || export SSL_CERT_FILE=/run/secrets/ca
[ -z "${INDEX:-}" ] || export UV_DEFAULT_INDEX="$INDEX"
locks=/build/requirements-image.lock
[ -z "${GPU:-}" ] || locks="$locks /build/requirements-gpu.lock"
/build/uv/bin/uv venv -q --python /usr/bin/python3 /opt/graft
# shellcheck disable=SC2086 # one word a lock
/build/uv/bin/uv pip sync -q --no-cache --require-hashes --python /opt/graft/bin/python $locks
