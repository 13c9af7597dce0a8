#!/bin/bash
# node.sh N CMD...: run a command inside node N, in its process, network and mount namespaces.
# node.sh N restart DAEMON: end kubelet, containerd, kube-apiserver ... there; it is started again after 2 s.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# -ge 2 ] || die "usage: node.sh N CMD... | node.sh N restart DAEMON"
if [ "$2" = restart ]; then
  in_node "$1" bash -c "kill \$(cat '$RUN/node$1/$3.pid')"
  exit
fi
in_node "$@"
