"""What can go wrong, as data.

    WalkieSignalError
    ├── SignalingError      an event failed; goes to its sender as {code, message, …}
    │   └── CredentialRefused  no valid credential; the reason is only for the log
    └── ProtocolViolation   the bytes broke the protocol; the connection is closed

The codes are the wire protocol's: a client may switch on them, so they never change their meaning.
"""

from __future__ import annotations

from typing import Any, Literal

ErrorCode = Literal[
    "already_connected",
    "forbidden",
    "internal",
    "invalid_payload",
    "not_in_room",
    "payload_too_large",
    "peer_not_found",
    "rate_limited",
    "room_full",
    "too_many_rooms",
    "unauthorized",
    "unavailable",
    "unknown_event",
]


class WalkieSignalError(Exception):
    """Base of the errors that this package raises."""


class SignalingError(WalkieSignalError):
    """An event was read but can't be carried out.

    The event changes nothing, and its connection stays open.

    Attributes:
        code: For programs; its meaning never changes.
        message: For people; in English, with nothing secret in it.
        details: Further keys of the error, such as ``retryAfterMs`` or ``limitBytes``.
    """

    def __init__(self, code: ErrorCode, message: str, **details: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code: ErrorCode = code
        self.message = message
        self.details = details

    def to_payload(self) -> dict[str, Any]:
        """Return the error as the wire has it."""
        return {"code": self.code, "message": self.message, **self.details}


class CredentialRefused(SignalingError):  # noqa: N818 - as ``unauthorized``, which it is
    """A connection shows no valid credential. Its sender hears the same, whatever was wrong.

    Attributes:
        why: What was wrong, for the log: words of ours, with nothing of the credential in them.
    """

    def __init__(self, why: str) -> None:
        super().__init__("unauthorized", "no valid credential")
        self.why = why


def room_full(capacity: int) -> SignalingError:
    """Return the error of a join into a room that has `capacity` members."""
    return SignalingError("room_full", f"the room has {capacity} members already")


class ProtocolViolation(WalkieSignalError):  # noqa: N818 - the protocol's own term
    """A client broke Engine.IO's or Socket.IO's framing; its connection is closed.

    The text says what was wrong, for one line in the log. It never quotes what the client sent.

    Args:
        text: That text.
        code: The code with which a WebSocket closes (RFC 6455, 7.4.1); 1002 is a protocol error.
    """

    def __init__(self, text: str, code: int = 1002) -> None:
        super().__init__(text)
        self.code = code
