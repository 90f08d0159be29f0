"""The keys that a token may be verified with. The algorithm belongs to the key: a token can't choose it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.exceptions import PyJWTError

from walkie_signal.auth.tokens import Header

SHORTEST_SECRET = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes of a secret, by the algorithm (RFC 7518, 3.2)."""

OF_SECRETS = tuple(SHORTEST_SECRET)
"""Algorithms of a secret that both sides have."""

OF_PUBLIC_KEYS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms of a key of which only the issuer has the private half."""

SHORTEST_RSA = 2048
"""Bits of a key for RS… and PS… (RFC 7518, 3.3)."""

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class Key(NamedTuple):
    """A key to verify with.

    Attributes:
        material: What the library takes.
        algorithms: The algorithms that it may be used for.
        key_id: What tokens call it; ``None`` if it has no name.
    """

    material: Any
    algorithms: Sequence[str]
    key_id: str | None = None


class Keys(Protocol):
    """Where keys come from."""

    async def that_may_have_signed(self, header: Header, *, ask: bool) -> Iterable[Key]:
        """Return the keys that may have signed a token with such a header.

        Args:
            header: The header.
            ask: Whether another server may be asked for a key that is not known.

        Raises:
            SignalingError: ``unavailable``: it can't be told now.
        """


def fitting(keys: Iterable[Key], header: Header) -> list[Key]:
    """Return the keys that may be used for a header: by the algorithm, and by the name if both have one."""
    return [
        key
        for key in keys
        if header.algorithm in key.algorithms
        and (header.key_id is None or key.key_id is None or header.key_id == key.key_id)
    ]


class FixedKeys:
    """Keys that do not change while the process runs."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    async def that_may_have_signed(self, header: Header, *, ask: bool) -> Iterable[Key]:  # noqa: ARG002
        """Return the keys that may have signed a token with such a header; nobody is asked for others."""
        return fitting(self._keys, header)


def secret_keys(secrets: Iterable[str | bytes], algorithms: Sequence[str] | None) -> list[Key]:
    """Make keys of secrets.

    Raises:
        ValueError: A secret is too short or a public key, or an algorithm is none of a secret.
    """
    chosen = _checked(algorithms or ("HS256",), OF_SECRETS, "a secret")
    keys = []
    for secret in secrets:
        data = secret.encode() if isinstance(secret, str) else secret
        if b"-----BEGIN" in data:
            raise ValueError("the secret is a key in PEM format: give it as the public key")
        for name in chosen:
            if len(data) < SHORTEST_SECRET[name]:
                needed = f"{name} needs {SHORTEST_SECRET[name]}, or anybody with a token can guess it"
                raise ValueError(f"the secret has {len(data)} bytes: {needed}")
        keys.append(Key(data, chosen))
    return keys


def key_of_pem(pem: str | bytes, algorithms: Sequence[str] | None) -> Key:
    """Make a key of a public key or of a certificate, in PEM format.

    Raises:
        ValueError: It is none, or too short, or an algorithm is not one of such a key.
    """
    data = pem.encode() if isinstance(pem, str) else pem
    if b"PRIVATE KEY" in data:
        raise ValueError("the public key is a private one, which nobody but the issuer should have")
    try:
        material = (
            load_pem_x509_certificate(data).public_key()
            if b"CERTIFICATE" in data
            else load_pem_public_key(data)
        )
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the public key can't be read: it has to be in PEM format") from None
    return Key(material, algorithms_of(material, algorithms))


def keys_of_set(document: Mapping[str, Any], algorithms: Sequence[str] | None) -> list[Key]:
    """Read the keys of a JWKS document (RFC 7517) that tokens may be signed with; the others are left out.

    Raises:
        ValueError: It is no such document, or it has no such key.
    """
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise ValueError("no JWKS document: it has no list of keys")  # noqa: TRY004 - as for any other text
    keys = [key for each in listed if (key := _key_of(each, algorithms)) is not None]
    if not keys:
        raise ValueError("the JWKS document has no key that a token may be signed with")
    return keys


def _key_of(each: Any, algorithms: Sequence[str] | None) -> Key | None:
    """Read one key of a document; ``None`` if it is for something else, or not one that we know."""
    if not isinstance(each, Mapping) or each.get("use", "sig") != "sig":
        return None
    operations = each.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if each.get("kty") == "oct":  # a secret that is published is none
        return None
    try:
        material = jwt.PyJWK.from_dict(dict(each), each.get("alg")).key
        named = each.get("alg")
        fit = algorithms_of(material, algorithms)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    key_id = each.get("kid")
    chosen = fit if named is None else [name for name in fit if name == named]
    return Key(material, chosen, key_id if isinstance(key_id, str) else None) if chosen else None


def algorithms_of(material: Any, algorithms: Sequence[str] | None) -> Sequence[str]:
    """Return the algorithms that a public key may be used for.

    Raises:
        ValueError: It is of a kind that we do not know, too short, or none of the algorithms is one of its own.
    """
    if isinstance(material, RSAPublicKey):
        if material.key_size < SHORTEST_RSA:
            raise ValueError(f"an RSA key needs {SHORTEST_RSA} bits")
        own: tuple[str, ...] = tuple(name for name in OF_PUBLIC_KEYS if name.startswith(("RS", "PS")))
        usual: tuple[str, ...] = ("RS256",)
    elif isinstance(material, EllipticCurvePublicKey) and material.curve.name in _CURVES:
        own = usual = (_CURVES[material.curve.name],)
    elif isinstance(material, Ed25519PublicKey):
        own = usual = ("EdDSA",)
    else:
        raise ValueError("a public key of a kind that no token is signed with")
    return _checked(algorithms or usual, own, "this public key")


def _checked(algorithms: Sequence[str], own: Sequence[str], what: str) -> Sequence[str]:
    """Return the algorithms that are a key's own.

    Raises:
        ValueError: None is.
    """
    chosen = [name for name in algorithms if name in own]
    if not chosen:
        raise ValueError(f"none of {', '.join(algorithms)} is an algorithm for {what}: {', '.join(own)}")
    return chosen
