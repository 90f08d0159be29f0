"""Tokens that are let in, and all kinds that are not: their sender hears the same, the log the reason."""

from __future__ import annotations

import time
from typing import Any

import pytest

from auth.issuer import (
    EC,
    ED,
    OTHER_RSA,
    PREVIOUS,
    PRIVATE,
    RSA,
    SECRET,
    SHORT_RSA,
    jwk,
    part,
    pem,
    token,
)
from walkie_signal import Credentials, Identity, JWTAuth, SignalingError
from walkie_signal.errors import CredentialRefused

UNKNOWN = "no key that is known has signed the token"
HEAD = part({"alg": "HS256", "typ": "JWT"})
PUBLISHED = "a secret that is published, so that it is none"
NEVER = 4_000_000_000
pytestmark = pytest.mark.promise(
    "Hosts", "A token is let in exactly if it is valid; else its sender hears one text, whatever was wrong"
)


async def let_in(auth: JWTAuth, shown: Any) -> Identity:
    return await auth(Credentials(shown))


async def refusal(auth: JWTAuth, shown: Any) -> str:
    """Return why a token is refused, as the log has it."""
    with pytest.raises(CredentialRefused) as caught:
        await auth(Credentials(shown))
    assert caught.value.to_payload() == {"code": "unauthorized", "message": "no valid credential"}
    return caught.value.why


@pytest.mark.parametrize("sub", ["guard-7", 7, 7.0, -(2**53)])
async def test_whose_token_it_is(sub: Any) -> None:
    identity = await let_in(JWTAuth(secret=SECRET), token(sub=sub, role="guard", site="north"))
    assert (identity.user_id, identity.role, identity.rooms) == (sub, "guard", None)
    assert type(identity.user_id) is (str if isinstance(sub, str) else int)
    assert identity.attributes["site"] == "north"


@pytest.mark.parametrize("algorithm", PRIVATE)
async def test_a_public_key_of_each_kind(algorithm: str) -> None:
    private = PRIVATE[algorithm]
    auth = JWTAuth(public_key=pem(private), algorithms=[algorithm])
    assert (await let_in(auth, token(private, algorithm))).user_id == "guard-7"
    usual = "RS256" if private is RSA else algorithm
    assert (await let_in(JWTAuth(public_key=pem(private)), token(private, usual))).user_id == "guard-7"
    assert await refusal(JWTAuth(secret=SECRET), token(private, algorithm)) == UNKNOWN


async def test_claims_with_other_names_and_rooms() -> None:
    auth = JWTAuth(secret=SECRET, user_claim="uid", role_claim="kind", rooms_claim="may")
    identity = await let_in(auth, token(sub=None, uid=9, kind="lead", may=["gate", "site-7/*"]))
    assert (identity.user_id, identity.role) == (9, "lead")
    assert [identity.allows(room) for room in ("gate", "gates", "site-7/", "site-7/yard", "site-71", "")] == [
        True, False, True, True, False, False,
    ]  # fmt: skip


async def test_a_secret_that_is_being_changed() -> None:
    auth = JWTAuth(secret=SECRET, previous_secret=PREVIOUS)
    for secret in (SECRET, PREVIOUS):
        assert (await let_in(auth, token(secret))).user_id == "guard-7"
        assert await refusal(auth, token(secret, exp=1)) == "the token has expired"
    assert await refusal(JWTAuth(secret=SECRET), token(PREVIOUS)) == UNKNOWN


@pytest.mark.parametrize("aud", ["patrol", ["other", "patrol"]])
async def test_whom_it_is_for_and_who_has_issued_it(aud: Any) -> None:
    auth = JWTAuth(secret=SECRET, audience=["patrol", "desk"], issuer="https://issuer.example")
    assert await let_in(auth, token(aud=aud, iss="https://issuer.example"))
    assert (
        await refusal(auth, token(aud="others", iss="https://issuer.example"))
        == "the token is for another audience"
    )
    assert (
        await refusal(auth, token(aud=aud, iss="https://other.example")) == "the token is of another issuer"
    )
    assert await refusal(auth, token(iss="https://issuer.example")) == "the token lacks a claim"
    assert await refusal(auth, token(aud=aud)) == "the token lacks a claim"
    assert await refusal(JWTAuth(secret=SECRET), token(aud=aud)) == "the token is for another audience"


async def test_its_times() -> None:
    now = int(time.time())
    auth = JWTAuth(secret=SECRET, leeway=10)
    assert await let_in(auth, token(exp=now - 5, nbf=now + 5, iat=now + 5))
    assert await refusal(auth, token(exp=now - 60)) == "the token has expired"
    assert await refusal(auth, token(nbf=now + 60)) == "the token is not valid yet"
    assert await refusal(auth, token(iat=now + 60)) == "the token is not valid yet"
    assert await refusal(auth, token(exp=None)) == "the token lacks a claim"
    assert await let_in(JWTAuth(secret=SECRET, require_exp=False), token(exp=None))


async def test_a_token_of_64_kb_is_not_read() -> None:
    began = time.perf_counter()
    assert await refusal(JWTAuth(secret=SECRET), token(more="x" * 65_536)) == "the token is too long"
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sub": None}, "the token lacks a claim"),
        ({"sub": ""}, "the token does not say whose it is"),
        ({"sub": 7.5}, "the token does not say whose it is"),
        ({"sub": True}, "the token does not say whose it is"),
        ({"sub": ["guard-7"]}, "the token does not say whose it is"),
        ({"sub": 2**60}, "the token does not say whose it is"),
        ({"sub": "\ud800bad"}, "the token does not say whose it is"),
        ({"role": "\udfff"}, "the token does not say whose it is"),
        ({"exp": 10**400}, "the token has an end beyond all times"),
        ({"role": 7}, "the token has a role that is not a string"),
        ({"rooms": "gate"}, "the token has rooms that are not a list of strings"),
        ({"rooms": ["gate", 7]}, "the token has rooms that are not a list of strings"),
    ],
)
async def test_claims_that_say_nothing_to_us(wrong: dict[str, Any], why: str) -> None:
    assert await refusal(JWTAuth(secret=SECRET), token(**wrong)) == why


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_set_of_keys() -> None:
    document = {
        "keys": [
            jwk(EC, kid="for something else", use="enc"),
            jwk(OTHER_RSA, kid="one", alg="RS256"),
            jwk(RSA, kid="two", use="sig"),
            jwk(ED, kid="../../etc/passwd"),
            jwk(SHORT_RSA, kid="short"),
            {"kty": "oct", "k": part(PUBLISHED), "kid": "public secret"},
            {"kty": "of another time"},
            jwk(EC, key_ops=5),
            "no key",
        ]
    }
    auth = JWTAuth(jwks=document)
    for own, name in ((OTHER_RSA, "one"), (RSA, "two"), (RSA, None)):
        assert await let_in(auth, token(own, "RS256", {"kid": name} if name else None))
    assert await let_in(auth, token(ED, "EdDSA", {"kid": "../../etc/passwd"}))
    strangers: list[tuple[Any, str, str | None]] = [
        (RSA, "RS256", "one"),
        (RSA, "RS256", "unknown"),
        (RSA, "RS256", "../../etc/passwd"),
        (EC, "ES256", "for something else"),
        (EC, "ES256", None),
        (RSA, "RS512", "two"),
        (SHORT_RSA, "RS256", "short"),
        (PUBLISHED, "HS256", "public secret"),
    ]
    for key, algorithm, kid in strangers:
        shown = token(key, algorithm, {"kid": kid} if kid else None)
        assert await refusal(auth, shown) == UNKNOWN


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "exactly one of secret, public_key, jwks, jwks_url"),
        ({"secret": SECRET, "public_key": pem(RSA)}, "exactly one of"),
        ({"previous_secret": SECRET, "public_key": pem(RSA)}, "goes with secret"),
        ({"secret": ""}, "the secret has 0 bytes: HS256 needs 32"),
        ({"secret": "short"}, "the secret has 5 bytes: HS256 needs 32"),
        ({"secret": SECRET, "algorithms": ["HS256", "HS512"]}, "HS512 needs 64"),
        ({"secret": SECRET, "algorithms": ["RS256"]}, "an algorithm for a secret: HS256"),
        ({"secret": SECRET, "algorithms": ["none"]}, "an algorithm for a secret"),
        ({"secret": pem(RSA)}, "give it as the public key"),
        ({"public_key": "nonsense"}, "PEM format"),
        ({"public_key": pem(SHORT_RSA)}, "2048 bits"),
        ({"public_key": pem(RSA), "algorithms": ["HS256"]}, "an algorithm for this public key: RS256"),
        ({"public_key": pem(EC), "algorithms": ["RS256"]}, "an algorithm for this public key: ES256"),
        ({"jwks": {"keys": []}}, "no key that a token may be signed with"),
        ({"jwks": []}, "no JWKS document"),
        ({"jwks_url": "ftp://keys.example"}, "https://"),
    ],
)
def test_what_can_not_be_verified_with_is_refused_at_the_start(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        JWTAuth(**given)
    assert SECRET not in str(caught.value)


def test_a_refusal_is_a_signaling_error() -> None:
    assert issubclass(CredentialRefused, SignalingError)
