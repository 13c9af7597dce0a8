#!/bin/bash
# load-image.sh FILE.tar...: import docker-archives into every node (what `kind load image-archive` does).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || die "usage: load-image.sh FILE.tar..."
for node in "$RUN"/node[0-9]; do
  [ -d "$node" ] || die "the cluster is not up; start it with hack/cluster/up.sh"
  for archive; do
    # ctr warns of cgroup v1 every time: what it says is shown only when it fails
    said=$(in_node "${node##*node}" ctr -a /run/containerd/containerd.sock -n k8s.io images import - <"$archive" 2>&1) || die "$said"
    say "${node##*/}: loaded $(basename "$archive")"
  done
done
