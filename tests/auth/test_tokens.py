"""Tokens that are let in, and all kinds that are not: their sender hears the same, the log the reason."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
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
    claims,
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


def signed(head: str, body: str, secret: str = SECRET) -> str:
    """Sign parts that no library would write."""
    mac = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


MALFORMED: dict[str, Any] = {
    "empty parts": "..",
    "one part": "abc",
    "four parts": token() + ".x",
    "no base64": "!.!.!",
    "not ASCII": "ä.ä.ä",
    "a header that is a list": signed(part([]), part(claims())),
    "a header without an algorithm": signed(part({}), part(claims())),
    "an algorithm that is none": signed(part({"alg": ["HS256"]}), part(claims())),
    "a key id that is no text": signed(part({"alg": "HS256", "kid": 7}), part(claims())),
    "a body that is a text": signed(HEAD, part('"x"')),
    "deep": signed(HEAD, part("[" * 5000)),
    "a claim twice": signed(HEAD, part(f'{{"sub": "guard-7", "sub": "chief", "exp": {NEVER}}}')),
    "a header's name twice": signed(part('{"alg": "HS256", "alg": "none"}'), part(claims())),
    "critical": signed(part({"alg": "HS256", "crit": ["b64"], "b64": False}), part(claims())),
    "an end that is a text": signed(HEAD, part(claims(exp="tomorrow"))),
    "an end beyond all numbers": signed(HEAD, part('{"sub": "x", "exp": 1e999}')),
}


@pytest.mark.parametrize("shown", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_token(shown: Any) -> None:
    assert await refusal(JWTAuth(secret=SECRET), shown) == "the token is malformed"


UNSIGNED: dict[str, str] = {
    "none": f"{part({'alg': 'none'})}.{part(claims())}.",
    "None": f"{part({'alg': 'None'})}.{part(claims())}.",
    "nOnE, signed": signed(part({"alg": "nOnE"}), part(claims())),
    "hs256": signed(part({"alg": "hs256"}), part(claims())),
    "of a sibling": token(2 * SECRET, "HS512"),
    "by another secret": token("some other secret of at least 32 bytes"),
    "by nobody": token()[: token().rindex(".") + 1],
    "a byte more": token() + "A",
}


@pytest.mark.parametrize("shown", UNSIGNED.values(), ids=UNSIGNED)
async def test_a_token_that_nobody_here_has_signed(shown: str) -> None:
    assert await refusal(JWTAuth(secret=SECRET), shown) in (
        UNKNOWN,
        "the token is malformed",
    )


@pytest.mark.parametrize("shown", [None, "", 7, {"token": "x"}, ["x"], b"x"], ids=repr)
async def test_what_is_no_token(shown: Any) -> None:
    assert await refusal(JWTAuth(secret=SECRET), shown) == "no token"


async def test_a_token_of_64_kb_is_not_read() -> None:
    began = time.perf_counter()
    assert await refusal(JWTAuth(secret=SECRET), token(more="x" * 65_536)) == "the token is too long"
    assert time.perf_counter() - began < 0.5


async def test_a_public_key_is_no_secret() -> None:
    """The attack on libraries that let a token choose: the public key, which all know, as an HMAC secret."""
    for key in (RSA, EC, ED):
        forged = signed(HEAD, part(claims()), pem(key))
        for auth in (JWTAuth(public_key=pem(key)), JWTAuth(jwks={"keys": [jwk(key)]})):
            assert await refusal(auth, forged) == UNKNOWN
    with pytest.raises(ValueError, match="give it as the public key"):
        JWTAuth(secret=pem(RSA))


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
