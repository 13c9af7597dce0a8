#!/bin/bash
# update.sh vX.Y.Z: move the Kubernetes of the test cluster to another release.
#
# Kubernetes requires its own libraries at v0.0.0 and finds them through a workspace, which does not
# apply to others: every one of them has to be pointed at its published tag. That is why the test
# cluster's programs live in a module of their own and never in the operator's go.mod.
set -euo pipefail
cd "$(dirname "$0")"
version=${1:?usage: update.sh vX.Y.Z}
upstream=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
{
  echo "module github.com/logsource/operator/hack/cluster/modules/kubernetes"
  echo
  grep -E '^go ' "$upstream"
  # the godebug defaults of the main module apply to the programs: keep upstream's
  sed -n '/^godebug/{/(/,/)/p; /(/!p}' "$upstream"
  echo
  echo "tool ("
  printf '\tk8s.io/kubernetes/cmd/%s\n' kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet
  printf '\tgo.etcd.io/etcd/server/v3\n'
  echo ")"
  echo
  echo "require k8s.io/kubernetes $version"
  echo
  echo "replace ("
  sed -nE "s#^\s+(k8s\.io/[a-z-]+) v0\.0\.0( //.*)?\$#\t\1 => \1 v0.${version#v1.}#p" "$upstream"
  echo ")"
} >go.mod
go mod tidy
