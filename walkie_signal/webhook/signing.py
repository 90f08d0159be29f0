"""The headers by which a receiver verifies a request, as Standard Webhooks 1.0.0 has them.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence

PREFIX = "whsec_"
"""What the secrets of Standard Webhooks begin with; its libraries also take one without it."""

LEAST_BYTES, MOST_BYTES = 24, 64
"""How long a key may be, by that specification."""


def key_of(secret: str) -> bytes:
    """Read a secret as the libraries of Standard Webhooks do.

    Raises:
        ValueError: It is not base64, or too short or too long; the text does not quote it.
    """
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError("the secret is not base64, with or without whsec_ before it") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"the secret has {len(key)} bytes: it needs {LEAST_BYTES} to {MOST_BYTES}")
    return key


def signed(keys: Sequence[bytes], event_id: str, at: float, body: bytes) -> dict[str, str]:
    """Return the headers of a request.

    Args:
        keys: The request is signed with each of them; the receiver needs to know one.
        event_id: The id of the request, without a full stop; it is the same when the request is repeated.
        at: The time of this try, in seconds since 1970.
        body: What is sent.
    """
    moment = str(int(at))
    content = b"%s.%s.%s" % (event_id.encode(), moment.encode(), body)
    signatures = [b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
