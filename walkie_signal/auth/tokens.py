"""Reading a token: what it must be like before anything in it is believed, and verifying it with a key."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuedAtError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from walkie_signal.errors import CredentialRefused

MOST_BYTES = 16_384
"""The longest token that is read: any of our web servers takes a header of 16 KiB, and verifying costs time."""

UNSIGNED = "no key that is known has signed the token"

REASONS: Mapping[type[Exception], str] = {
    ExpiredSignatureError: "the token has expired",
    ImmatureSignatureError: "the token is not valid yet",
    InvalidIssuedAtError: "the token is not valid yet",
    InvalidAudienceError: "the token is for another audience",
    InvalidIssuerError: "the token is of another issuer",
    MissingRequiredClaimError: "the token lacks a claim",
    InvalidSignatureError: UNSIGNED,
}
"""What the log says, by what was wrong; anything else is `MALFORMED`."""

MALFORMED = "the token is malformed"


class Header(NamedTuple):
    """What a token says of its signature, which nobody has verified.

    Attributes:
        algorithm: The algorithm.
        key_id: Which key has signed it; ``None`` if it does not say.
    """

    algorithm: str
    key_id: str | None


class Demands(NamedTuple):
    """What a token has to be like.

    Attributes:
        audience: For whom it has to be, one of these; ``None`` if it must name nobody.
        issuer: Who has to have issued it; ``None`` if anybody may.
        leeway: Seconds by which the clocks of the issuer and of this machine may differ.
        required: The claims that it must have.
    """

    audience: str | Sequence[str] | None
    issuer: str | None
    leeway: float
    required: Sequence[str]


def read_header(token: object) -> Header:
    """Read the header of a token.

    Raises:
        CredentialRefused: It is no token that anybody here would have signed.
    """
    header, _ = read_parts(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(key_id, (str, type(None))):
        raise CredentialRefused(MALFORMED)
    return Header(algorithm, key_id)


def read_parts(token: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the whole header and the claims of a token, which nobody has verified.

    Raises:
        CredentialRefused: It is no token.
    """
    if not isinstance(token, str) or not token:
        raise CredentialRefused("no token")
    if len(token) > MOST_BYTES:
        raise CredentialRefused("the token is too long")
    try:
        first, second, _ = token.encode("ascii").split(b".")
        return _object_of(first), _object_of(second)
    except (ValueError, RecursionError):
        raise CredentialRefused(MALFORMED) from None


def verified(token: str, key: Any, algorithm: str, demands: Demands) -> Mapping[str, Any]:
    """Return the claims of a token that a key has signed by an algorithm.

    Raises:
        CredentialRefused: The key has not signed it, or the token is not what it has to be.
    """
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=demands.audience,
            issuer=demands.issuer,
            leeway=demands.leeway,
            # A `sub` that is an integer is against the RFC, and common
            options={"require": list(demands.required), "verify_sub": False, "verify_jti": False},
        )
    except (PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise CredentialRefused(REASONS.get(type(error), MALFORMED)) from None
    return claims


def _object_of(part: bytes) -> dict[str, Any]:
    """Read a part of a token: an object in which no name occurs twice, for libraries differ in which one counts."""
    found = json.loads(urlsafe_b64decode(part + b"=" * (-len(part) % 4)), object_pairs_hook=_once)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as for everything else that is wrong with it
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that occurs twice")
    return found
