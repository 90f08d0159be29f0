"""Signing a token as an issuer does, so that somebody who has the key can try things out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from walkie_signal.auth.keys import Key, algorithms_of, secret_keys


def key_of_secret(secret: str, algorithms: Sequence[str] | None) -> Key:
    """Make a key to sign with of a secret.

    Raises:
        ValueError: As for a secret to verify with; the text does not show it.
    """
    (key,) = secret_keys([secret], algorithms)
    return key


def key_of_private_pem(pem: str, algorithms: Sequence[str] | None) -> Key:
    """Make a key to sign with of a private key in PEM format.

    Raises:
        ValueError: It is none, or has a passphrase, or an algorithm is not one of such a key.
    """
    try:
        private: Any = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        unread = "the private key can't be read: it has to be in PEM format, without a passphrase"
        raise ValueError(unread) from None
    return Key(private, algorithms_of(private.public_key(), algorithms))


def signed(claims: Mapping[str, Any], key: Key) -> str:
    """Return a token with these claims, signed by the first algorithm of a key."""
    return jwt.encode(dict(claims), key.material, key.algorithms[0])
