"""Opens a sealed access token with PyNaCl: the value of kf_tokens on standard input.

    pip install -r requirements.txt
    nats kv get kf_tokens ww….kf --raw | KF_TOKEN_OPEN_KEY_FILE=reader.key KF_TOKEN_KEEPER=X… python3 open_token.py ww… kf

Takes only what the tokenkeeper sealed for this key and this credential; exit code 1 says why not. Prints what may be
logged; the token itself is in token["token"].
"""

import base64
import json
import os
import sys

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey


def raw(key, prefix):
    """The 32 bytes of an xkey: base32 of a prefix of 1 byte (public) or 2 (private), the key, and a checksum of 2."""
    return base64.b32decode(key + "=" * (-len(key) % 8))[prefix:-2]


def open_token(value, private, keeper, corp, credential):
    """Returns the token, or raises a ValueError."""
    own = PrivateKey(raw(private, 2))
    for sealed in value.get("sealed", []):
        if raw(sealed["key"], 1) != bytes(own.public_key):
            continue
        box = base64.b64decode(sealed["box"])
        if box[:4] != b"xkv1":
            raise ValueError("another version of the seal")
        try:
            token = json.loads(Box(own, PublicKey(raw(keeper, 1))).decrypt(box[4:]))  # a nonce of 24 bytes comes first
        except CryptoError:
            raise ValueError("not sealed by this tokenkeeper") from None
        if (token["corp"], token["credential"]) != (corp, credential):
            raise ValueError("sealed for another credential")
        return token
    raise ValueError("not sealed for this key")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(os.environ["KF_TOKEN_OPEN_KEY_FILE"], encoding="ascii") as f:
        private = f.read().strip()
    try:
        token = open_token(json.load(sys.stdin), private, os.environ["KF_TOKEN_KEEPER"], *sys.argv[1:])
    except ValueError as e:
        sys.exit(f"open_token: {e}")
    print(f"generation {token['generation']}, token {token['sha256']}…, {len(token['token'])} characters")


if __name__ == "__main__":
    main()
