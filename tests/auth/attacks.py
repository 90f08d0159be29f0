"""Tokens that nobody may be let in with, and why each of them is refused."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any, NamedTuple

from auth.issuer import EC, LATER, OTHER_RSA, PREVIOUS, RSA, SECRET, claims, jwk, part, pem, token

AUDIENCE = "patrol"
PATH = "../../../etc/passwd"
DOCUMENT = {
    "keys": [jwk(RSA, kid="one", alg="RS256"), jwk(EC, kid="for something else", use="enc")],
}
VERIFIERS: dict[str, dict[str, Any]] = {
    "secret": {"secret": SECRET, "audience": AUDIENCE},
    "public key": {"public_key": pem(RSA)},
    "set": {"jwks": DOCUMENT},
}
"""What `JWTAuth` is given, for the three kinds of servers that are attacked."""

UNSIGNED = "no key that is known has signed the token"
MALFORMED = "the token is malformed"
NOBODY = "the token does not say whose it is"
LACKS = "the token lacks a claim"
ANOTHER = "the token is for another audience"
NOT_YET = "the token is not valid yet"

NOW = int(time.time())

HEAD = part({"alg": "HS256", "typ": "JWT"})
BODY = part(claims(aud=AUDIENCE, exp=LATER))


class Attack(NamedTuple):
    """Something to show to a server in place of a token, and what its log says of it."""

    shown: Any
    why: str
    server: str = "secret"


def forged(head: object, body: object = BODY, secret: str = SECRET) -> str:
    """Sign parts that no library would write."""
    parts = f"{part(head)}.{body if body is BODY else part(body)}"
    mac = hmac.new(secret.encode(), parts.encode(), hashlib.sha256).digest()
    return f"{parts}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def lasting(
    key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **more: Any
) -> str:
    return token(key, algorithm, headers, **{"exp": LATER, **more})


def ours(**more: Any) -> str:
    return lasting(**{"aud": AUDIENCE, **more})


def _of_text(body: str) -> str:
    return forged({"alg": "HS256"}, body)


GOOD = {"secret": ours(), "public key": lasting(RSA, "RS256"), "set": lasting(RSA, "RS256")}
"""A token for each server that is let in."""

ATTACKS: dict[str, Attack] = {
    "nothing": Attack(None, "no token"),
    "an empty text": Attack("", "no token"),
    "a number": Attack(7, "no token"),
    "an object": Attack({"token": ours()}, "no token"),
    "a list": Attack([ours()], "no token"),
    "64 kB": Attack(ours(more="x" * 48_000), "the token is too long"),
    # What it is signed with
    "none": Attack(f"{part({'alg': 'none'})}.{BODY}.", UNSIGNED),
    "none, with a signature": Attack(forged({"alg": "none"}), UNSIGNED),
    "None": Attack(f"{part({'alg': 'None'})}.{BODY}.", UNSIGNED),
    "nOnE": Attack(f"{part({'alg': 'nOnE'})}.{BODY}.", UNSIGNED),
    "none to a public key": Attack(f"{part({'alg': 'none'})}.{BODY}.", UNSIGNED, "public key"),
    "hs256": Attack(forged({"alg": "hs256"}), UNSIGNED),
    "a space behind the algorithm": Attack(forged({"alg": "HS256 "}), UNSIGNED),
    "no algorithm": Attack(forged({}), MALFORMED),
    "a list of algorithms": Attack(forged({"alg": ["HS256"]}), MALFORMED),
    "a sibling of the algorithm": Attack(lasting(2 * SECRET, "HS512", aud=AUDIENCE), UNSIGNED),
    "a sibling of a public key's": Attack(lasting(RSA, "PS256"), UNSIGNED, "public key"),
    "an algorithm of public keys": Attack(lasting(RSA, "RS256", aud=AUDIENCE), UNSIGNED),
    "the public key as a secret": Attack(forged({"alg": "HS256"}, BODY, pem(RSA)), UNSIGNED, "public key"),
    "the public key of a set as a secret": Attack(
        forged({"alg": "HS256", "kid": "one"}, BODY, pem(RSA)), UNSIGNED, "set"
    ),
    "another secret": Attack(lasting(PREVIOUS, aud=AUDIENCE), UNSIGNED),
    "another key": Attack(lasting(OTHER_RSA, "RS256"), UNSIGNED, "public key"),
    "no signature": Attack(f"{HEAD}.{BODY}.", UNSIGNED),
    "another body below the signature": Attack(
        f"{HEAD}.{part(claims(sub='chief', aud=AUDIENCE, exp=LATER))}.{ours().rpartition('.')[2]}", UNSIGNED
    ),
    # Which key it names
    "a key of the wrong use": Attack(lasting(EC, "ES256", {"kid": "for something else"}), UNSIGNED, "set"),
    "a key of the wrong use, not named": Attack(lasting(EC, "ES256"), UNSIGNED, "set"),
    "a key that is a path": Attack(lasting(RSA, "RS256", {"kid": PATH}), UNSIGNED, "set"),
    "a path to an empty file": Attack(forged({"alg": "HS256", "kid": "/dev/null"}, BODY, ""), UNSIGNED),
    "a key that is no text": Attack(forged({"alg": "HS256", "kid": 7}), MALFORMED),
    "a key of its own": Attack(
        lasting(OTHER_RSA, "RS256", {"kid": "one", "jwk": jwk(OTHER_RSA)}), UNSIGNED, "set"
    ),
    "a URL of its own keys": Attack(
        lasting(OTHER_RSA, "RS256", {"jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"}),
        UNSIGNED,
        "set",
    ),
    # What it says
    "expired": Attack(ours(exp=NOW - 60), "the token has expired"),
    "of tomorrow": Attack(ours(nbf=NOW + 86_400), NOT_YET),
    "issued tomorrow": Attack(ours(iat=NOW + 86_400), NOT_YET),
    "no end": Attack(ours(exp=None), LACKS),
    "an end that is a text": Attack(ours(exp="tomorrow"), MALFORMED),
    "an end beyond all numbers": Attack(
        _of_text(f'{{"sub": "x", "aud": "{AUDIENCE}", "exp": 1e999}}'), MALFORMED
    ),
    "no subject": Attack(ours(sub=None), LACKS),
    "an empty subject": Attack(ours(sub=""), NOBODY),
    "a subject that is a list": Attack(ours(sub=["guard-7"]), NOBODY),
    "no audience": Attack(lasting(), LACKS),
    "another audience": Attack(lasting(aud="others"), ANOTHER),
    "a list of other audiences": Attack(lasting(aud=["others", "desk"]), ANOTHER),
    "an audience in a list of a list": Attack(lasting(aud=[[AUDIENCE]]), ANOTHER),
    "an audience as an object": Attack(lasting(aud={AUDIENCE: True}), ANOTHER),
    "an audience where none is expected": Attack(
        lasting(RSA, "RS256", aud=[AUDIENCE]), ANOTHER, "public key"
    ),
    "a subject twice": Attack(
        _of_text(f'{{"sub": "guard-7", "sub": "chief", "aud": "{AUDIENCE}", "exp": {LATER}}}'), MALFORMED
    ),
    "an end twice": Attack(
        _of_text(f'{{"sub": "guard-7", "exp": 1, "aud": "{AUDIENCE}", "exp": {LATER}}}'), MALFORMED
    ),
    "an algorithm twice": Attack(forged('{"alg": "HS256", "alg": "none"}'), MALFORMED),
    "a critical extension": Attack(forged({"alg": "HS256", "crit": ["b64"], "b64": False}), MALFORMED),
    # What is no token
    "empty parts": Attack("..", MALFORMED),
    "one part": Attack("abc", MALFORMED),
    "four parts": Attack(f"{ours()}.x", MALFORMED),
    "no base64": Attack("!.!.!", MALFORMED),
    "not ASCII": Attack("ä.ä.ä", MALFORMED),
    "a header that is a list": Attack(forged([]), MALFORMED),
    "a body that is a text": Attack(_of_text('"x"'), MALFORMED),
    "a deep body": Attack(_of_text("[" * 5000), MALFORMED),
}
