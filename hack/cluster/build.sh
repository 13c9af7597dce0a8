#!/bin/bash
# build.sh [TARGET...]: build what the cluster is made of, from the Go module proxy and apt.
#
# TARGET is a program or a group:
#   apiserver   etcd kube-apiserver kubectl: what `make test` needs. No root, no apt.
#   all         everything that up.sh needs, and helm (the default)
#
# A target is built again only when the go.mod, go.sum or flags it comes from have changed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

programs=(etcd kube-apiserver kubectl kube-controller-manager kube-scheduler kubelet kube-proxy
  containerd containerd-shim-runc-v2 ctr coredns helm)
packages=(runc containernetworking-plugins nftables iptables conntrack openssl iproute2 procps)

# recipe PROGRAM: sets module, package, tags and ldflags.
recipe() {
  tags='' ldflags='-s -w'
  case $1 in
    etcd) module=kubernetes package=go.etcd.io/etcd/server/v3 ;;
    kube*) module=kubernetes package=k8s.io/kubernetes/cmd/$1 ;;
    containerd* | ctr) module=containerd package=github.com/containerd/containerd/v2/cmd/$1 ;;
    coredns) module=coredns package=. ;;
    helm) module=tools package=helm.sh/helm/v3/cmd/helm ;;
    *) die "no target $1; one of: apiserver all ${programs[*]}" ;;
  esac
  case $module in
    kubernetes)
      tags=selinux,notest,grpcnotrace
      ldflags+=" $(kubernetes_version)"
      ;;
    containerd)
      tags=no_btrfs,no_devmapper,no_zfs,no_aufs
      ldflags+=" -X github.com/containerd/containerd/v2/version.Version=$(version_of containerd github.com/containerd/containerd/v2)"
      ;;
    tools) ldflags+=" $(helm_versions)" ;;
  esac
}

# version_of MODULE_DIR MODULE: the version its go.mod requires, without the v.
version_of() { sed -nE "s#^(require)?[[:space:]]*$2 v([^ ]+).*#\2#p" "$here/modules/$1/go.mod"; }

# Without these flags the programs call themselves v0.0.0-master+$Format: /version is wrong, and
# whatever reads the server's version (kubectl, helm) misbehaves.
kubernetes_version() {
  local v major minor p
  v=$(version_of kubernetes k8s.io/kubernetes)
  IFS=. read -r major minor _ <<<"$v"
  for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- '-X %s=%s ' "$p.gitVersion" "v$v" "$p.gitMajor" "$major" "$p.gitMinor" "$minor" "$p.gitTreeState" clean \
      "$p.gitCommit" 0000000000000000000000000000000000000000 "$p.buildDate" 1970-01-01T00:00:00Z
  done
}

# Without these flags `helm template` takes the cluster for a v1.20, which no chart of today accepts.
helm_versions() {
  local major minor p
  IFS=. read -r major minor _ <<<"$(version_of kubernetes k8s.io/kubernetes)"
  printf -- '-X helm.sh/helm/v3/internal/version.version=v%s ' "$(version_of tools helm.sh/helm/v3)"
  for p in chartutil lint/rules; do printf -- '-X helm.sh/helm/v3/pkg/%s=%s ' "$p.k8sVersionMajor" "$major" "$p.k8sVersionMinor" "$minor"; done
}

# up_to_date STAMP HASH FILE: was FILE made from what HASH stands for?
up_to_date() { [ -e "$3" ] && [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

program() {
  local module package tags ldflags hash stamp=$BIN/.stamps/$1 begun=$SECONDS build
  recipe "$1"
  hash=$( (cd "$here/modules/$module" && cat go.mod go.sum && cat ./*.go 2>/dev/null; echo "$package $tags $ldflags") | sha256sum)
  up_to_date "$stamp" "$hash" "$BIN/$1" && return
  mkdir -p "$BIN/.stamps"
  say "building $1 (the first of its module downloads and compiles for some minutes)"
  # CGO_ENABLED=0: static, so that an image can hold it; -trimpath: the compile cache is hit from any checkout
  (cd "$here/modules/$module" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off \
    nice -n 5 go build -trimpath -tags "$tags" -ldflags "$ldflags" -o "$BIN/$1.new" "$package") &
  build=$!
  until timeout 30 tail -s 0.2 --pid="$build" -f /dev/null; do say "  still building $1, $((SECONDS - begun))s"; done
  wait "$build"
  mv "$BIN/$1.new" "$BIN/$1" # never a half-written program, nor "text file busy" under a running cluster
  echo "$hash" >"$stamp"
  say "built $1 in $((SECONDS - begun))s, $(du -h "$BIN/$1" | cut -f1)"
}

# image NAME CONTEXT: $IMAGES/NAME.tar of hack/cluster/images/NAME/Dockerfile and the program NAME in CONTEXT
image() {
  local dockerfile=$here/images/$1/Dockerfile hash
  hash=$(cat "$dockerfile" "$2/$1" "$repo"/hack/image/*.go | sha256sum)
  up_to_date "$IMAGES/.$1.stamp" "$hash" "$IMAGES/$1.tar" && return
  mkdir -p "$IMAGES"
  say "packing image $1"
  (cd "$repo" && go run ./hack/image -f "$dockerfile" -context "$2" -t "local.test/$1:1" -o "$IMAGES/$1.tar")
  echo "$hash" >"$IMAGES/.$1.stamp"
}

pause_image() {
  (cd "$repo" && CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o "$CACHE/pause/pause" ./hack/cluster/images/pause)
  image pause "$CACHE/pause"
}

# apt_packages: what a node needs of Debian.
apt_packages() {
  local p missing=()
  for p in "${packages[@]}"; do [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "these Debian packages are missing, and only root can install them: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends "${missing[@]}" >/dev/null
}

command -v go >/dev/null || die "Go is not installed; the cluster is built from source and needs the version named in go.mod"
[ $# -gt 0 ] || set -- all
for t; do
  case $t in
    apiserver) for p in etcd kube-apiserver kubectl; do program "$p"; done ;;
    all)
      apt_packages
      for p in "${programs[@]}"; do program "$p"; done
      pause_image
      image coredns "$BIN"
      ;;
    *) program "$t" ;;
  esac
done
