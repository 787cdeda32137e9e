"""Makes one call of WeChat's API through kfbus: a NATS request, and no more.

    pip install -r requirements.txt
    python3 api.py --corp ww… account.list
    python3 api.py --corp ww… customer.batchget '{"external_userid_list":["wm…"]}'

Prints the platform's own JSON. A refusal goes to standard error, with exit code 1: its headers say what it is, and
whether WeChat may have acted. Exit code 3: nobody answers.
"""

import argparse
import asyncio
import json
import os
import sys

import nats
from nats.errors import NoRespondersError, NoServersError, TimeoutError


async def quiet(_):
    """Takes the errors of each try to connect; the last one is raised too."""


async def call(servers, corp, path, request, timeout):
    """Returns the reply as bytes, or raises Refused."""
    # At least 1: with 0 this client tries for ever, also where it may not reconnect.
    nc = await nats.connect(servers, connect_timeout=5, allow_reconnect=False, max_reconnect_attempts=1, error_cb=quiet)
    try:
        reply = await nc.request(
            f"kf.api.{corp}.{path.replace('/', '.')}",
            json.dumps(request, ensure_ascii=False).encode(),
            timeout=timeout,
            headers={"Kf-Timeout": f"{timeout * 0.9:.3f}s"},  # its answer is to come before we go
        )
    finally:
        await nc.close()
    headers = reply.headers or {}
    if "Nats-Service-Error-Code" in headers:
        raise Refused(headers, reply.data)
    return reply.data


class Refused(Exception):
    """The call was not done; or, if sent is "maybe", nobody knows."""

    def __init__(self, headers, body):
        self.code = int(headers["Nats-Service-Error-Code"])
        self.text = headers["Nats-Service-Error"]
        self.errcode = int(headers["Kf-Errcode"]) if "Kf-Errcode" in headers else None
        self.category = headers["Kf-Category"]
        self.sent = headers["Kf-Sent"]
        self.hint = json.loads(body).get("hint", "")
        super().__init__(self.text)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("path", help="account.list, customer.batchget, …")
    args.add_argument("request", nargs="?", default="{}", type=json.loads, help="JSON object with the call's fields")
    args.add_argument("--nats", default=os.environ.get("KF_NATS_URL", "nats://127.0.0.1:4222"))
    args.add_argument("--corp", default=os.environ.get("KF_CORP_ID"), help="default: KF_CORP_ID")
    args.add_argument("--timeout", type=float, default=15, help="seconds")
    a = args.parse_args()
    if not a.corp:
        args.error("no corp: give --corp, or set KF_CORP_ID")
    try:
        reply = asyncio.run(call(a.nats.split(","), a.corp, a.path, a.request, a.timeout))
    except Refused as no:
        said = {"code": no.code, "errcode": no.errcode, "category": no.category, "sent": no.sent, "text": no.text, "hint": no.hint}
        print(json.dumps(said, ensure_ascii=False), file=sys.stderr)
        return 1
    except (NoRespondersError, TimeoutError):
        print("nobody answers: is a sender running, and is this a call?", file=sys.stderr)
        return 3
    except (NoServersError, OSError):
        print(f"no NATS server answers at {a.nats}", file=sys.stderr)
        return 3
    sys.stdout.write(reply.decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
