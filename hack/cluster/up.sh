#!/bin/bash
# up.sh: bring a cluster of 1 to 3 nodes up, or say that it is up. Needs root on Debian; no docker, no systemd.
#
#   NODES=3 LOGMAX=256Ki hack/cluster/up.sh
#   export KUBECONFIG=~/.cache/logsource-cluster/run/kubeconfig
#
# A node is a bundle of namespaces (mount, uts, ipc, network, pid, cgroup) with a root directory of its
# own. Killing its init ends every process and every mount in it, so that down.sh leaves nothing behind,
# also after a crash. The pods' address ranges are fixed: one cluster per machine.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# --- can it work here?
[ "$(id -u)" = 0 ] || die "up.sh makes namespaces, mounts and interfaces: run it as root"
[[ $NODES =~ ^[123]$ ]] || die "NODES is $NODES; 1, 2 or 3 are possible"
[ -e /sys/fs/cgroup/memory ] || die "this machine has cgroup v2 only (no /sys/fs/cgroup/memory); these nodes need cgroup v1.
Use docker and kind instead, or point KUBECONFIG at a cluster: make e2e takes either"
for n in 0 1 2; do
  ! alive "$(node_pid "$n")" || running=$((${running:-0} + 1))
done
if [ -n "${running:-}" ]; then
  [ "$running" = "$NODES" ] || die "a cluster of $running nodes is up; end it first with hack/cluster/down.sh"
  say "already up; export KUBECONFIG=$KUBECONFIG_FILE"
  exit 0
fi
"$here/build.sh" all
"$here/down.sh" # what a crash left: with an old etcd a node would be Ready before it is
mkdir -p "$RUN"
"$here/certs.sh"

# --- the machine: the bridge, and the only setting that is changed (down.sh restores it)
inotify=/proc/sys/fs/inotify/max_user_instances
if [ "$(cat $inotify)" -lt 1024 ]; then # a node takes some 20 instances, the limit of 128 is for the whole machine
  cp $inotify "$RUN/inotify-before"
  echo 1024 >$inotify
fi
ip link add "$BRIDGE" type bridge
ip addr add "$NET.1/24" dev "$BRIDGE" # ip_forward stays off in this namespace: nothing leaves the machine
ip link set "$BRIDGE" up

# make_cgroups N: a child of our own cgroup in every v1 hierarchy, listed in nodeN/cgroups.
make_cgroups() {
  local controllers path dir
  while IFS=: read -r _ controllers path; do
    # "" is the unified hierarchy, which has no controllers here. name=systemd has to be there too: the shim
    # cannot find a container's cgroups, and reports no OOMKilled, when a listed hierarchy is not mounted.
    dir=/sys/fs/cgroup/${controllers#name=}
    { [ -n "$controllers" ] && [ -d "$dir" ]; } || continue
    dir=$dir${path%/}/$CLUSTER-node$1
    mkdir -p "$dir"
    if [ "$controllers" = cpuset ]; then # a fresh cpuset is empty and takes no process
      cat "${dir%/*}/cpuset.cpus" >"$dir/cpuset.cpus"
      cat "${dir%/*}/cpuset.mems" >"$dir/cpuset.mems"
    fi
    echo "$controllers $dir" >>"$RUN/node$1/cgroups"
  done </proc/self/cgroup
}

# start_node N: start its init in new namespaces and write down its pid.
start_node() {
  local outer pid dir=$RUN/node$1
  mkdir -p "$dir"
  make_cgroups "$1"
  (
    # The cgroup namespace is rooted where the process is when it unshares.
    while read -r _ cgroup; do echo "$BASHPID" >"$cgroup/cgroup.procs"; done <"$dir/cgroups"
    exec setsid unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child --propagation private \
      env -i PATH="$BIN:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root LOGSOURCE_CLUSTER_CACHE="$CACHE" NODES="$NODES" LOGMAX="$LOGMAX" \
      "$here/node-init.sh" "$1"
  ) </dev/null >"$dir/init.log" 2>&1 &
  outer=$!
  for _ in {1..200}; do
    pid=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null || true) pid=${pid%% *}
    ! alive "$pid" || break
    sleep 0.05
  done
  alive "$pid" || die "node$1 did not start; see $dir/init.log"
  echo "$pid" >"$dir/pid"
  ip link add "v$CLUSTER-$1" type veth peer name eth0 netns "$pid"
  ip link set "v$CLUSTER-$1" master "$BRIDGE" up
  # Tests on the host reach pods and Services directly.
  ip route replace "$(pod_cidr "$1")" via "$(node_ip "$1")" dev "$BRIDGE"
  touch "$dir/net-ready"
  say "node$1 started"
}

for ((n = 0; n < NODES; n++)); do start_node "$n"; done
ip route replace "$SERVICES" via "$(node_ip 0)" dev "$BRIDGE"

# --- until every node is Ready and names resolve
kubectl() { "$BIN/kubectl" --kubeconfig="$KUBECONFIG_FILE" "$@"; }
ready=0
for _ in {1..600}; do
  ready=$(kubectl get nodes --no-headers --request-timeout=2s 2>/dev/null | grep -c ' Ready ') || true
  [ "$ready" -lt "$NODES" ] || break
  for ((n = 0; n < NODES; n++)); do alive "$(node_pid "$n")" || die "node$n died: $(tail -5 "$RUN/node$n/init.log")"; done
  sleep 0.2
done
[ "$ready" -ge "$NODES" ] || die "$ready of $NODES nodes are Ready after two minutes; their logs: $RUN/node*/log"
say "$NODES of $NODES nodes Ready"
kubectl apply -f "$here/coredns.yaml" >/dev/null
kubectl -n kube-system rollout status deployment/coredns --timeout=120s >/dev/null
say "up; export KUBECONFIG=$KUBECONFIG_FILE"
