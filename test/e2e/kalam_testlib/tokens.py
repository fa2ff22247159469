"""JSON Web Tokens made by hand, so that forged ones can be tried."""

import base64
import hashlib
import hmac
import json
import time

SECRET = "a-secret-that-only-the-tests-know-0123456789"


def encode_part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_part(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def claims_of(token):
    return decode_part(token.split(".")[1])


def claims(user, role, token_type="access", valid_s=3600, **more):
    now = int(time.time())
    made = {"sub": user, "iss": "kalamdb", "exp": now + valid_s, "iat": now, "email": None, "role": role}
    if token_type is not None:
        made["token_type"] = token_type
    made.update(more)
    return made


def sign(payload, secret=SECRET, algorithm="HS256", header=None):
    """A token over `payload`. Algorithm "none" gives an empty signature."""
    head = {"alg": algorithm, "typ": "JWT", **(header or {})}
    signed = f"{encode_part(head)}.{encode_part(payload)}"
    if algorithm.lower() == "none":
        return signed + "."
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return f"{signed}.{encode_part(hmac.new(secret.encode(), signed.encode(), digest).digest())}"
