#!/usr/bin/env bash
# test.sh [FLAG...] PACKAGE...: go vet, then go test -race with a real API server and Helm, which are built
# the first time (some ten minutes on two cores).
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v gcc >/dev/null; then # the race detector needs cgo
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
    echo "test.sh: gcc is missing, and the race detector needs it: install gcc and libc6-dev" >&2
    exit 1
  }
  echo "installing gcc" >&2
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends gcc libc6-dev >/dev/null
fi
PATH=$(hack/peers.sh):$PATH
export PATH
hack/cluster/build.sh apiserver helm
KUBEBUILDER_ASSETS=$(. hack/cluster/lib.sh && echo "$BIN")
export KUBEBUILDER_ASSETS
echo "go vet" >&2
go vet ./...
go test -race -json "$@" 2>&1 | go run ./hack/testsummary
