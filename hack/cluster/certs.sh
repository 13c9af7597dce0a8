#!/bin/bash
# certs.sh: the cluster's certificate authority, certificates and kubeconfigs, in $RUN/pki. Called by up.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
mkdir -p "$RUN/pki"
cd "$RUN/pki"
[ ! -e done ] || exit 0
umask 077

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1" 2>/dev/null; } # elliptic curves: quick to make

# certificate NAME SUBJECT EXTENSIONS
certificate() {
  key "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out "$1.crt" \
    -extfile <(printf 'keyUsage=critical,digitalSignature\n%s\n' "$3") 2>/dev/null
  rm "$1.csr"
}

# kubeconfig FILE CERTIFICATE
kubeconfig() {
  cat >"$1" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: $CLUSTER, cluster: {server: "https://$(node_ip 0):6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $2, user: {client-certificate-data: $(base64 -w0 "$2.crt"), client-key-data: $(base64 -w0 "$2.key")}}]
contexts: [{name: $CLUSTER, context: {cluster: $CLUSTER, user: $2}}]
current-context: $CLUSTER
YAML
}

key ca.key
openssl req -x509 -new -key ca.key -subj /CN=$CLUSTER-ca -days 365 -out ca.crt \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
key sa.key # signs the service accounts' tokens
openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null

names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
certificate apiserver /CN=kube-apiserver "$(printf 'extendedKeyUsage=serverAuth\nsubjectAltName=%s' "$names,IP:127.0.0.1,IP:$API_SERVICE,IP:$(node_ip 0)")"
client=extendedKeyUsage=clientAuth
certificate admin /O=system:masters/CN=admin $client
certificate kubelet-client /O=system:masters/CN=apiserver-kubelet-client $client
certificate front-proxy /CN=front-proxy-client $client
certificate controller-manager /CN=system:kube-controller-manager $client
certificate scheduler /CN=system:kube-scheduler $client
certificate proxy /CN=system:kube-proxy $client
kubeconfig "$KUBECONFIG_FILE" admin
for c in controller-manager scheduler proxy; do kubeconfig "$c.conf" "$c"; done
for n in 0 1 2; do # name and group are what the Node authorizer looks at
  certificate "node$n" "/O=system:nodes/CN=system:node:node$n" "$(printf 'extendedKeyUsage=clientAuth,serverAuth\nsubjectAltName=DNS:node%s,IP:%s' "$n" "$(node_ip "$n")")"
  kubeconfig "node$n.conf" "node$n"
done
touch done
