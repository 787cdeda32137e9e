#!/usr/bin/env bash
# Makes what compose.yaml mounts, in run/: the users' seeds, the secrets, the NATS configuration and the servers' folders. What is
# there stays; the configuration is written anew. Needs Docker and the image.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077

if [ ! -f .env ]; then
  cp .env.example .env
  # The containers' user must be able to read the files of whoever runs this; root gives them away.
  [ "$(id -u)" = 0 ] || echo "KF_USER=$(id -u):$(id -g)" >>.env
fi
. deploy/env.sh
user=${KF_USER:-65532:65532}
mkdir -p run/seeds run/secrets run/n1 run/n2 run/n3
[ "$(id -u)" != 0 ] || chown -R "$user" run

kfbus() { docker run --rm --network none --read-only --cap-drop ALL -u "$user" -v "$PWD/run:/run/kfbus" "${KF_IMAGE:-kfbus:local}" "$@"; }

secret() { [ -e "run/secrets/$1" ] || printf '%s' "$2" >"run/secrets/$1"; }
keys=$(kfbus keygen -o json)
secret callback_token "$(sed 's/.*"token":"\([^"]*\)".*/\1/' <<<"$keys")"
secret encoding_aes_key "$(sed 's/.*"encoding_aes_key":"\([^"]*\)".*/\1/' <<<"$keys")"
secret corpsecret "$(head -c 32 /dev/urandom | base64 | tr -dc 'A-Za-z0-9')"

# Access tokens are sealed: a private key for each who writes or reads them, and the public ones in .env for the others.
for who in tokenkeeper syncer sender; do
  key=run/secrets/xkey_$who name=KF_XKEY_${who^^}
  if [ ! -e "$key" ] || ! grep -q "^$name=X" .env; then
    rm -f "$key"
    public=$(kfbus token seal-key new --file "/run/kfbus/secrets/xkey_$who")
    sed -i "/^$name=/d" .env
    echo "$name=${public##* }" >>.env
  fi
done

teams=()
IFS=, read -ra texts <<<"${KF_TOPOLOGY_TEAMS:-}"
for text in "${texts[@]}"; do teams+=(--team "$text"); done
kfbus nats-config --seeds /run/kfbus/seeds --out /run/kfbus/nats.conf --node n1,n2,n3 --max-store "${KF_MAX_STORE:-10GB}" "${teams[@]}"
chmod 0644 run/nats.conf   # public keys only
[ "$(id -u)" != 0 ] || chown -R "$user" run
