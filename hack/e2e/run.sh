#!/usr/bin/env bash
# run.sh [GO TEST FLAG...]: the e2e tests on a real cluster, with the image of this tree.
#
# The cluster is the one of $KUBECONFIG if that is set, else one of kind where docker works, else one of
# hack/cluster. One that was made here is removed again; KEEP=1 keeps it, for a look.
#
# On a cluster of $KUBECONFIG the images come from a registry that it reaches: IMAGE and PROBE_IMAGE name them.
set -euo pipefail
cd "$(dirname "$0")/../.."
export NODES=${NODES:-2} LOGMAX=${LOGMAX:-1Mi} # 1 MiB: the writers' logs are rotated, and none is gone before it can be read
. hack/cluster/lib.sh
build=$(mktemp -d)
made=
finish() {
  rm -rf "$build"
  case ${KEEP:+kept}$made in
    cluster) hack/cluster/down.sh ;;
    kind) kind delete cluster --name logsource-e2e ;;
    kept?*) say "the cluster is kept; export KUBECONFIG=$KUBECONFIG" ;;
  esac
}
trap finish EXIT
kind() { go run sigs.k8s.io/kind@v0.31.0 "$@"; }

hack/cluster/build.sh kubectl helm
if [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$KUBECONFIG_FILE" ]; then
  on=given
  : "${IMAGE:?the cluster of KUBECONFIG pulls its images: push bin/image.tar (make image) and set IMAGE}"
  : "${PROBE_IMAGE:?the cluster of KUBECONFIG pulls its images: push that of hack/e2e/probe/Dockerfile and set PROBE_IMAGE}"
elif docker info >/dev/null 2>&1; then
  on=kind made=kind
  export KUBECONFIG=$build/kubeconfig
  cat >"$build/kind.yaml" <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  containerLogMaxSize: $LOGMAX
YAML
  kind create cluster --name logsource-e2e --config "$build/kind.yaml" --wait 120s
else
  on=cluster
  if [ ! -e "$KUBECONFIG_FILE" ]; then
    made=cluster
    hack/cluster/up.sh
  fi
  export KUBECONFIG=$KUBECONFIG_FILE
fi

if [ $on != given ]; then
  tag=e2e-$(date +%s) # a new one each time: on a kept cluster the pods would go on with the old image
  export IMAGE=local.test/logsource:$tag PROBE_IMAGE=local.test/probe:$tag
  say "building the images"
  hack/image.sh "$IMAGE" "$build/image.tar"
  CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$build/probe" ./hack/e2e/probe
  go run ./hack/image -f hack/e2e/probe/Dockerfile -context "$build" -t "$PROBE_IMAGE" -o "$build/probe.tar"
  case $on in
    cluster) hack/cluster/load-image.sh "$build/image.tar" "$build/probe.tar" ;;
    kind) for archive in image probe; do kind load image-archive --name logsource-e2e "$build/$archive.tar"; done ;;
  esac
fi

say "testing"
export E2E_CLUSTER=$on PATH=$BIN:$PATH
go test -tags e2e -timeout 60m -json "$@" ./hack/e2e | go run ./hack/testsummary -v
