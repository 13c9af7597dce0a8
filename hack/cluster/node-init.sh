#!/bin/bash
# node-init.sh N: process 1 of a node's namespaces. Sets the node up, starts its daemons, reaps. Called by up.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
n=$1 node=node$1 ip=$(node_ip "$1") dir=$RUN/node$1 pki=$RUN/pki
mkdir -p "$dir"/{root,log,etcd,cni}
hostname "$node"

# --- a root directory of the node's own: a hostPath volume must reach neither the host's disk nor another node.
# /usr is the host's, read-only; /etc a copy; the rest is on disk, readable from outside as $RUN/nodeN/root.
new_root() {
  local root=$dir/root link path controllers
  mount --bind "$root" "$root"
  for link in bin sbin lib lib32 lib64 libx32; do [ ! -L "/$link" ] || cp -a "/$link" "$root/$link"; done
  cp -a /etc "$root/etc"
  mkdir -p "$root"/{usr,dev,proc,sys,run,tmp,var/log/pods,var/log/containers,var/lib/kubelet,opt,home,root,mnt,.old}
  chmod 1777 "$root/tmp"
  mount --rbind /usr "$root/usr"
  mount -o remount,bind,ro "$root/usr"
  mount --rbind /dev "$root/dev"
  for path in "$BIN" "$IMAGES" "$RUN"; do
    mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
  done
  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  while read -r controllers _; do # every hierarchy afresh, rooted in our cgroup namespace, as runc and the kubelet expect
    path=$root/sys/fs/cgroup/${controllers#name=}
    mkdir -p "$path"
    case $controllers in name=*) controllers=none,$controllers ;; esac
    mount -t cgroup -o "$controllers" cgroup "$path"
  done <"$dir/cgroups"
  cd "$root"
  pivot_root . .old # and not chroot: the kubelet refuses a mountinfo that still shows the host's cgroup mounts
  cd /
  umount -l /.old
  mount --make-rshared / # runc has to see what the kubelet mounts
  mkdir -p /run/lock /run/netns
}
new_root

# The kubelet sets these for the whole machine, and ends if it cannot. Show it files that hold what it wants.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=$dir/sysctl-$(tr / - <<<"${setting%=*}")
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done
echo "$node" >/etc/hostname
md5sum <<<"$CLUSTER-$node" | cut -c1-32 >/etc/machine-id
printf '127.0.0.1 localhost\n%s %s\n' "$ip" "$node" >/etc/hosts

# --- network
until [ -e "$dir/net-ready" ]; do sleep 0.05; done
ip link set lo up
ip addr add "$ip/24" dev eth0
ip link set eth0 up
# There is no default route, on purpose; a Service address needs some route before it is translated on output.
ip route add "$SERVICES" dev eth0 src "$ip"
for ((other = 0; other < NODES; other++)); do
  [ "$other" = "$n" ] || ip route add "$(pod_cidr "$other")" via "$(node_ip "$other")"
done
sysctl -qw net.ipv4.ip_forward=1
sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true # pod -> Service -> pod on one bridge
: >"$dir/resolv.conf"                                               # the host's must not reach pods of dnsPolicy Default

# start NAME CMD...: run a daemon, again 2 s after it ends. `node.sh N restart NAME` ends it.
start() {
  local name=$1
  shift
  (
    while :; do
      "$@" >>"$dir/log/$name.log" 2>&1 &
      echo $! >"$dir/$name.pid"
      wait $! && code=0 || code=$?
      echo "[$name ended: $code]" >>"$dir/log/$name.log"
      sleep 2
    done
  ) &
}

control_plane() {
  local conf client_auth
  # --unsafe-no-fsync: a test cluster; fsync is what makes etcd slow on a shared disk
  start etcd etcd --name e0 --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster e0=http://127.0.0.1:2380
  start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --advertise-address="$ip" --bind-address=0.0.0.0 --secure-port=6443 --service-cluster-ip-range="$SERVICES" \
    --allow-privileged=true --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --profiling=false \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User --enable-aggregator-routing=true \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"
  conf=$pki/controller-manager.conf
  start kube-controller-manager kube-controller-manager --kubeconfig="$conf" --authentication-kubeconfig="$conf" \
    --authorization-kubeconfig="$conf" --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" --use-service-account-credentials=true \
    --leader-elect=false --controllers='*,-cloud-node-lifecycle' --bind-address=127.0.0.1 --kube-api-qps=300 --kube-api-burst=600
  conf=$pki/scheduler.conf
  start kube-scheduler kube-scheduler --kubeconfig="$conf" --authentication-kubeconfig="$conf" --authorization-kubeconfig="$conf" \
    --leader-elect=false --bind-address=127.0.0.1 --kube-api-qps=300 --kube-api-burst=600
}
[ "$n" != 0 ] || control_plane

# --- containerd
cat >"$dir/cni/10-bridge.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "$CLUSTER", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(pod_cidr "$n")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
# oom_score, restrict_oom_score_adj: many sandboxes lack CAP_SYS_RESOURCE, without which the score cannot be lowered.
cat >"$dir/containerd.toml" <<TOML
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "local.test/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "$dir/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "/usr/sbin/runc"
  SystemdCgroup = false
TOML
start containerd containerd --config "$dir/containerd.toml"
ctr() { command ctr -a /run/containerd/containerd.sock "$@"; }
# containerd runs on without its CRI plugin when that could not load (inotify instances used up): restart it then.
while :; do
  case $(ctr plugins ls 2>/dev/null | awk '$1 == "io.containerd.grpc.v1" && $2 == "cri" {print $NF}') in
    ok) break ;;
    error)
      echo "containerd's CRI plugin failed to load, restarting containerd"
      kill "$(cat "$dir/containerd.pid")"
      sleep 3
      ;;
  esac
  sleep 0.1
done
for image in "$IMAGES"/*.tar; do ctr -n k8s.io images import "$image"; done

# --- kubelet and kube-proxy
# oomScoreAdj, maxOpenFiles: the defaults need CAP_SYS_RESOURCE. imageGC: images cannot be pulled again.
# containerLogMonitorInterval, crashLoopBackOff: a rotation, a restart, is then seen within a test.
cat >"$dir/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/$node.crt
tlsPrivateKeyFile: $pki/$node.key
cgroupDriver: cgroupfs
failCgroupV1: false
oomScoreAdj: 0
maxOpenFiles: 20000
failSwapOn: false
clusterDNS: [$DNS_SERVICE]
clusterDomain: cluster.local
resolvConf: $dir/resolv.conf
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
syncFrequency: 10s
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
containerLogMaxSize: $LOGMAX
containerLogMaxFiles: 5
containerLogMonitorInterval: 3s
YAML
start kubelet kubelet --config="$dir/kubelet.yaml" --kubeconfig="$pki/$node.conf" --hostname-override="$node" --node-ip="$ip" --v=2
# conntrack: these settings are machine-wide, leave them
cat >"$dir/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $pki/proxy.conf}
clusterCIDR: $POD_NET.0.0/16
hostnameOverride: $node
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
start kube-proxy kube-proxy --config="$dir/proxy.yaml"
while :; do wait || true; sleep 1; done
