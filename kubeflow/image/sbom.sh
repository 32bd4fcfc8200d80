#!/bin/sh
# Stage builder: what the image holds, as CycloneDX. cyclonedx-py knows the environment and the locks, dpkg the system.
set -eu
out=/usr/share/graft
locks=/build/requirements-image.lock
[ -z "${GPU:-}" ] || locks="$locks /build/requirements-gpu.lock"
mkdir -p "$out"
cd /build
# shellcheck disable=SC2086 # one word a lock
cat $locks >locked.txt
sbom/bin/cyclonedx-py environment -o environment.json --output-reproducible /opt/graft/bin/python
sbom/bin/cyclonedx-py requirements -o locked.json --output-reproducible locked.txt
sbom/bin/python /source/kubeflow/image/sbom.py environment.json locked.json /build/dpkg "$out/sbom.cdx.json"
