#!/bin/sh
# Stage builder: compilers, and uv and the writer of the SBOM in environments of their own. Nothing of it reaches the image.
set -eu
# The image's packages, for the SBOM, before those of this stage join them.
cp -r /var/lib/dpkg /build/dpkg
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends g++ gcc libc6-dev python3-dev python3-venv
[ ! -s /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca
[ -z "${INDEX:-}" ] || export PIP_INDEX_URL="$INDEX"
for tool in uv sbom; do
	python3 -m venv "/build/$tool"
	"/build/$tool/bin/pip" install -q --no-cache-dir --require-hashes -r "/build/requirements-$tool.lock"
done
