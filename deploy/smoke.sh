#!/usr/bin/env bash
# A customer writes to the simulated WeChat, the team demo reads it and answers, and the customer's phone shows the answer.
set -euo pipefail
export COMPOSE_PROGRESS=quiet
cd "$(dirname "$0")/.."
. deploy/env.sh
sim=http://127.0.0.1:${KF_PORT_SIM_CONTROL:-8091} text="smoke $RANDOM$RANDOM"
tool() { docker compose run --rm -T "$@"; }
fail() { echo "smoke: $*" >&2; docker compose logs --tail 20 >&2; exit 1; }

customer=$(curl -fsS "$sim/customers" -d "{\"corpid\":\"$KF_CORP_ID\",\"nickname\":\"Smoke\"}" | grep -o '"external_userid":"[^"]*"' | cut -d '"' -f 4) ||
  fail "the simulator does not answer at $sim"
curl -fsS "$sim/say" -d "{\"open_kfid\":\"wkDESK\",\"external_userid\":\"$customer\",\"text\":\"$text\"}" >/dev/null

# The customer is new: tail ends with the first message, stored or still to come.
message=$(timeout 60 docker compose run --rm -T operator tail --since 1h -n 1 "kf.message.$KF_CORP_ID.wkDESK.text.$customer") ||
  fail "the customer's message is not on the bus after a minute"
[[ $message == *"$text"* ]] || fail "the message on the bus is another: $message"
outcome=$(tool team send --team demo wkDESK "$customer" "answer to $text") || fail "the answer was not accepted: $outcome"
curl -fsS "$sim/phone?open_kfid=wkDESK&external_userid=$customer" | grep -q "answer to $text" || fail "the answer is not on the customer's phone"
echo "smoke: message in, $outcome, answer on the phone"
