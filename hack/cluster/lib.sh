# lib.sh: what the scripts of hack/cluster share. Sourced, never run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)

# Everything the cluster is made of lives here, outside the tree.
CACHE=${LOGSOURCE_CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/logsource-cluster}
BIN=$CACHE/bin       # programs
IMAGES=$CACHE/images # images every node starts with
RUN=$CACHE/run       # the running cluster; gone after down.sh

NODES=${NODES:-1}       # 1 to 3; node0 also runs the control plane
LOGMAX=${LOGMAX:-10Mi}  # size at which the kubelet rotates a container's log; it keeps 5 files
CLUSTER=lsc             # names the interfaces and cgroups; short, an interface name has 15 characters
NET=10.99.0             # node network: a bridge without an uplink
POD_NET=10.244          # pods of node N: 10.244.N.0/24
SERVICES=10.96.0.0/16
API_SERVICE=10.96.0.1
DNS_SERVICE=10.96.0.10
BRIDGE=br-$CLUSTER
KUBECONFIG_FILE=$RUN/kubeconfig

node_ip() { echo "$NET.$((10 + $1))"; }
pod_cidr() { echo "$POD_NET.$1.0/24"; }
node_pid() { cat "$RUN/node$1/pid" 2>/dev/null || true; } # the node's init, as the host sees it

# alive PID: is it still the init that up.sh started? A pid may be another process by now.
alive() { [ -n "${1:-}" ] && { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -q 'hack/cluster/node-init.sh'; }

# in_node N CMD...: run a command inside the namespaces of node N.
in_node() {
  local pid
  pid=$(node_pid "$1")
  alive "$pid" || die "node$1 is not up; start the cluster with hack/cluster/up.sh"
  shift
  nsenter -t "$pid" -m -u -i -n -p -C -- env PATH="$BIN:/usr/sbin:/usr/bin:/sbin:/bin" "$@"
}

started=${EPOCHREALTIME/./}
say() { printf '[cluster %6.1fs] %s\n' "$(((${EPOCHREALTIME/./} - started) / 100000))e-1" "$*" >&2; }
die() {
  printf 'hack/cluster: %s\n' "$*" >&2
  exit 1
}
