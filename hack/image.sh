#!/usr/bin/env bash
# image.sh REPOSITORY:TAG OUT.tar: build the image of the Dockerfile without docker, as a docker-archive.
# GOARCH (default: of this machine) and VERSION are taken from the environment.
set -euo pipefail
tag=${1:?usage: image.sh REPOSITORY:TAG OUT.tar} out=$(realpath -m "${2:?usage: image.sh REPOSITORY:TAG OUT.tar}")
cd "$(dirname "$0")/.."
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
arch=${GOARCH:-$(go env GOARCH)}
GOOS=linux GOARCH=$arch hack/build.sh "$stage/out"
certificates=/etc/ssl/certs/ca-certificates.crt
[ -e $certificates ] || {
  echo "image.sh: $certificates is missing, and the image needs it: install the package ca-certificates" >&2
  exit 1
}
install -D -m 644 $certificates "$stage$certificates"
env -u GOARCH go run ./hack/image -f Dockerfile -arch "$arch" -build-arg VERSION="${VERSION:-dev}" -from build="$stage" -t "$tag" -o "$out"
