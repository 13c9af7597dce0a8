#!/usr/bin/env bash
# build.sh DIR: build the manager and the collector, static, into DIR. GOARCH and VERSION are taken from
# the environment. The Dockerfile, hack/image.sh and make build all build with this.
set -euo pipefail
out=$(realpath -m "${1:?usage: build.sh DIR}")
cd "$(dirname "$0")/.."
CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w -X github.com/logsource/operator/cmd/collector/cli.Version=${VERSION:-dev} -X main.version=${VERSION:-dev}" -o "$out/" ./cmd/manager ./cmd/collector
