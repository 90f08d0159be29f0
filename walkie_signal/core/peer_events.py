"""What a peer may ask for. It is read and checked here once, and raw dicts go no further."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from walkie_signal.core.emits import is_stored_name
from walkie_signal.core.identity import UserId, read_user_id
from walkie_signal.errors import SignalingError
from walkie_signal.settings import Settings
from walkie_signal.wire.event_packets import Event
from walkie_signal.wire.json import dumps, text_of


class JoinRoom(NamedTuple):
    """``join_room {room, role?, userId?}``; a key that the peer left out is ``None``."""

    room: str
    role: str | None
    user_id: UserId | None


class LeaveRoom(NamedTuple):
    """``leave_room {room?}``; ``None`` means every room."""

    room: str | None


class SignalTo(NamedTuple):
    """``signal {targetId, signal?}``.

    Attributes:
        target_id: The peer that it is for.
        value: The JSON text of any value, as it was sent; ``None`` if the key is absent, as when a JavaScript
            client sends ``undefined``.
    """

    target_id: str
    value: str | None


class RefreshToken(NamedTuple):
    """``refresh_token {token}``."""

    token: str


Message = JoinRoom | LeaveRoom | RefreshToken | SignalTo


def read_message(event: Event, settings: Settings) -> Message:
    """Read an event that a peer sent.

    Raises:
        SignalingError: ``unknown_event``; ``payload_too_large`` with ``limitBytes``; ``invalid_payload``.
    """
    read = _READERS.get(event.name)
    if read is None:
        raise SignalingError("unknown_event", "this event has no handler here")
    if event.size > settings.event_bytes:
        raise SignalingError("payload_too_large", "the event is too large", limitBytes=settings.event_bytes)
    if event.fault is not None:
        raise _invalid(event.fault)
    return read(event, settings)


def _join_room(event: Event, settings: Settings) -> JoinRoom:
    payload = _object(event.arguments)
    return JoinRoom(
        room=_room(payload, settings),
        role=_role(payload, settings),
        user_id=_user_id(payload, settings),
    )


def _leave_room(event: Event, settings: Settings) -> LeaveRoom:
    payload = _object(event.arguments) if event.arguments else {}
    return LeaveRoom(room=_room(payload, settings) if "room" in payload else None)


def _signal(event: Event, settings: Settings) -> SignalTo:  # noqa: ARG001 - every reader has these arguments
    payload = _object(event.arguments)
    target_id = payload.get("targetId")
    if not isinstance(target_id, str):
        raise _invalid("targetId is not a string")
    if event.text is not None:
        try:
            return SignalTo(target_id, text_of(event.text, "signal"))
        except ValueError as error:
            raise _invalid(str(error)) from None
    return SignalTo(target_id, dumps(payload["signal"]) if "signal" in payload else None)


def _refresh_token(event: Event, settings: Settings) -> RefreshToken:  # noqa: ARG001 - as above
    token = _object(event.arguments).get("token")
    if not isinstance(token, str):
        raise _invalid("token is not a string")
    return RefreshToken(token)


_READERS: Mapping[str, Callable[[Event, Settings], Message]] = {
    "join_room": _join_room,
    "leave_room": _leave_room,
    "refresh_token": _refresh_token,
    "signal": _signal,
}

CLIENT_EVENTS = frozenset(_READERS)
"""The events that this library handles; every other one is the host's."""


def _object(arguments: tuple[Any, ...]) -> Mapping[str, Any]:
    payload = arguments[0] if arguments else None
    if not isinstance(payload, dict):
        raise _invalid("the payload is not an object")
    return payload


def _room(payload: Mapping[str, Any], settings: Settings) -> str:
    room = payload.get("room")
    if not isinstance(room, str) or not 1 <= len(room) <= settings.room_name_length:
        raise _invalid(f"room is not a string of 1 to {settings.room_name_length} characters")
    if is_stored_name(room):
        raise _invalid("room begins with U+0000 and a slash")
    return room


def _role(payload: Mapping[str, Any], settings: Settings) -> str | None:
    if "role" not in payload:
        return None
    role = payload["role"]
    if not isinstance(role, str) or len(role) > settings.role_length:
        raise _invalid(f"role is not a string of at most {settings.role_length} characters")
    return role


def _user_id(payload: Mapping[str, Any], settings: Settings) -> UserId | None:
    if "userId" not in payload:
        return None
    user_id = read_user_id(payload["userId"])
    if user_id is None or (isinstance(user_id, str) and len(user_id) > settings.user_id_length):
        raise _invalid(
            f"userId is neither a string of at most {settings.user_id_length} characters "
            "nor an integer within ±2^53"
        )
    return user_id


def _invalid(reason: str) -> SignalingError:
    return SignalingError("invalid_payload", reason)
