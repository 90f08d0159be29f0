"""What can go wrong, as data.

    WalkieSignalError
    ├── SignalingError      an event failed; goes to its sender as {code, message, …}
    │   ├── CredentialRefused  no valid credential; the reason is only for the log
    │   │   └── SuspectRefused    … and too many others from the same address before
    │   ├── LimitReached       too much of something; which setting it was is for the log too
    │   └── UnreadError        a node does not read what the host emits
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
        why: What the log says beside the code, in words of ours; empty if the code says it all.
    """

    why = ""

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

    Args:
        why: What was wrong, for the log: words of ours, with nothing of the credential in them.
        details: Further keys of the error.
    """

    def __init__(self, why: str, **details: Any) -> None:
        super().__init__("unauthorized", "no valid credential", **details)
        self.why = why


class SuspectRefused(CredentialRefused):
    """One more bad credential of an address that has shown too many.

    Args:
        retry_after_ms: The milliseconds after which the address is suspect no longer.
    """

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__("too many bad credentials from this address", retryAfterMs=retry_after_ms)


class LimitReached(SignalingError):  # noqa: N818 - as ``rate_limited``, which it is
    """A peer, or an address, has done too much of something.

    Args:
        message: Of what.
        setting: The setting that says how much is allowed; the peer hears its name.
        retry_after_ms: The milliseconds after which one more is possible.
    """

    def __init__(self, message: str, setting: str, retry_after_ms: int) -> None:
        super().__init__("rate_limited", message, retryAfterMs=retry_after_ms, limit=setting)
        self.why = setting


class UnreadError(SignalingError):
    """A node has not read for so long that what was emitted could not be handed over to it: ``unavailable``.

    Others were sent it.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("unavailable", f"a node has not read what is emitted for {seconds:g} s")


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
