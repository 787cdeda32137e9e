#!/usr/bin/env bash
# Prints the secrets of an overlay, the configuration of its NATS servers and the public keys, as manifests:
#   bash deploy/k8s/secrets.sh local | kubectl apply --server-side -f -
# They are made from files in run/k8s-local/, which it makes where they are missing; what is there stays. Keep that folder secret.
# KFBUS is the program (bin/kfbus, from make build), KF_RUN another folder. Needs kubectl, and no cluster.
set -euo pipefail
overlay=${1:?local or production}
cd "$(dirname "$0")/../.."
umask 077
kfbus=${KFBUS:-bin/kfbus} run=${KF_RUN:-run/k8s-$overlay} settings=deploy/k8s/overlays/$overlay/kustomization.yaml
mkdir -p "$run"

teams=() tls=()
IFS=, read -ra texts <<<"$(sed -n 's/.*- KF_TOPOLOGY_TEAMS=//p' "$settings")"
for text in "${texts[@]}"; do teams+=(--team "$text"); done
if [ "$overlay" = production ]; then
  tls=(--node nats-0.nats,nats-1.nats,nats-2.nats --max-store 45GB --encrypt --tls-ca /tls/ca.crt --tls-cert /tls/tls.crt --tls-key /tls/tls.key)
  [ -s "$run/corpsecret" ] || { echo "secrets.sh: put the app's secret (corpsecret) into $run/corpsecret, and Token and EncodingAESKey of the console, if it has them, into callback_token and encoding_aes_key" >&2; exit 1; }
else
  tls=(--max-store 4GB)
fi

secret() { [ -e "$run/$1" ] || printf '%s' "$2" >"$run/$1"; }
random() { head -c 64 /dev/urandom | base64 -w0 | tr -dc 'A-Za-z0-9' | cut -c 1-40; }
keys=$("$kfbus" keygen -o json)
secret callback_token "$(sed 's/.*"token":"\([^"]*\)".*/\1/' <<<"$keys")"
secret encoding_aes_key "$(sed 's/.*"encoding_aes_key":"\([^"]*\)".*/\1/' <<<"$keys")"
secret corpsecret "$(random)"
secret encryption_key "k$(random)"   # its first character must be a letter
for name in tokenkeeper syncer sender; do
  [ -e "$run/$name.seal" ] || "$kfbus" token seal-key new --file "$run/$name.seal" | grep -oE '\bX[A-Z2-7]{55}\b' >"$run/$name.seal.public"
done
"$kfbus" nats-config --seeds "$run/seeds" --out "$run/nats.conf" "${tls[@]}" "${teams[@]}" >&2

make() { echo ---; kubectl create --namespace kfbus --dry-run=client -o yaml "$@"; }
cat deploy/k8s/base/namespace.yaml
make secret generic topology --from-file "nkey=$run/seeds/topology.nk"
make secret generic ingress --from-file "nkey=$run/seeds/ingress.nk" --from-file "$run/callback_token" --from-file "$run/encoding_aes_key"
make secret generic tokenkeeper --from-file "nkey=$run/seeds/tokenkeeper.nk" --from-file "$run/corpsecret" --from-file "seal_key=$run/tokenkeeper.seal"
for name in syncer sender; do make secret generic $name --from-file "nkey=$run/seeds/$name.nk" --from-file "open_key=$run/$name.seal"; done
make secret generic nats --from-file "$run/encryption_key"
make configmap nats --from-file "$run/nats.conf"
make configmap token-keys --from-literal "keeper=$(cat "$run/tokenkeeper.seal.public")" \
  --from-literal "readers=syncer=$(cat "$run/syncer.seal.public"),sender=$(cat "$run/sender.seal.public")"
