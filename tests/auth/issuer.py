"""An issuer of tokens with keys of each kind, good and bad ones."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET = "a secret of the tests that has more than 32 bytes"
PREVIOUS = "the secret before it, which has as many bytes as that one"

RSA = rsa.generate_private_key(65_537, 2048)
OTHER_RSA = rsa.generate_private_key(65_537, 2048)
SHORT_RSA = rsa.generate_private_key(65_537, 1024)  # noqa: S505 - it is to be refused
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()

PRIVATE: dict[str, Any] = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": ED}


def pem(private: Any) -> str:
    """Return the public half of a key."""
    text: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


LATER = 4_000_000_000
"""An end that no run of the tests lives to see, for tokens that are made when it begins."""


def claims(**more: Any) -> dict[str, Any]:
    """Return the claims of a good token, changed by `more`; ``None`` leaves one out."""
    found = {"sub": "guard-7", "exp": int(time.time()) + 600, **more}
    return {name: value for name, value in found.items() if value is not None}


def token(
    key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **more: Any
) -> str:
    """Sign a token."""
    return jwt.encode(claims(**more), key, algorithm, headers)


def part(value: object) -> str:
    """Write a part of a token: text as it is, anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def jwk(private: Any, **more: Any) -> dict[str, Any]:
    """Return the public half of a key as a member of a JWKS document."""
    kinds = {RSA: "RS256", OTHER_RSA: "RS256", SHORT_RSA: "RS256", EC: "ES256", ED: "EdDSA"}
    algorithm: Any = jwt.get_algorithm_by_name(kinds[private])
    found: dict[str, Any] = json.loads(algorithm.to_jwk(private.public_key()))
    found.pop("key_ops", None)
    return {**found, **more}


class Publisher:
    """A server of keys, as an ASGI app."""

    def __init__(self, body: bytes | None = None) -> None:
        self.asked = 0
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = self.of(jwk(RSA, kid="one")) if body is None else body
        self.gate: asyncio.Event | None = None

    @staticmethod
    def of(*keys: dict[str, Any]) -> bytes:
        return json.dumps({"keys": keys}).encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})
