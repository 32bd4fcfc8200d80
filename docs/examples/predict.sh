#!/bin/sh
# Asks a server by curl: state, signatures, an answer for an image, how many requests were answered.
#
#   docs/examples/predict.sh IMAGE [SERVER [MODEL]]
set -eu
image=$1
server=${2:-http://localhost:8501}
model=${3:-flowers}

ask() { # of an error the body says what is wrong, so it is shown too
    curl -sS --fail-with-body --max-time 30 "$@"
    echo
}

ask "$server/v1/models/$model"
ask "$server/v1/models/$model/metadata"
{
    printf '{"instances": [{"image_bytes": {"b64": "'
    base64 < "$image" | tr -d '\n'
    printf '"}}]}'
} | ask --data-binary @- "$server/v1/models/$model:predict"

# With `graft serve --metrics` only.
ask "$server/monitoring/prometheus/metrics" | grep '^graft_requests_total'
