"""Who a peer is, and what it shows to prove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from walkie_signal.errors import CredentialRefused
from walkie_signal.settings.rooms import NameSettings
from walkie_signal.wire.values import is_text

UserId = str | int
"""A user's id: a string, or an integer that stays a number on the wire."""

LARGEST_INTEGER = 2**53
"""The largest magnitude of an integer that a JavaScript peer reads exactly."""


HIGHEST_PRIORITY = 255
"""The highest priority on the radio; 0 is the lowest (3GPP TS 24.380)."""

RIGHTS = ("speak", "preempt", "uninterruptible", "dispatch", "emergency")
"""What an identity may do on the radio: the fields of `Identity`, each true or false."""

LATEST = 253_402_300_799
"""The last second of the year 9999, since 1970, which is as far as Python's own times go."""


def read_user_id(value: object) -> UserId | None:
    """Return a value as a user id: a string, or an integer within ±2^53; ``None`` if it is neither."""
    if isinstance(value, str):
        return value
    number = _read_integer(value)
    return number if number is not None and abs(number) <= LARGEST_INTEGER else None


def read_priority(value: object) -> int | None:
    """Return a value as a priority on the radio: an integer from 0 to 255; ``None`` if it is none."""
    number = _read_integer(value)
    return number if number is not None and 0 <= number <= HIGHEST_PRIORITY else None


def _read_integer(value: object) -> int | None:
    """Return a value as an integer; ``None`` if it is none, as a boolean is none.

    A whole float becomes that integer, and -0.0 becomes 0: Dart, Kotlin, JavaScript behind a bridge, and JSON
    itself don't distinguish 7 from 7.0.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def checked_user_id(value: object) -> UserId:
    """Return a value as a user id; see `read_user_id`.

    Raises:
        ValueError: It is none.
    """
    user_id = read_user_id(value)
    if user_id is None or (isinstance(user_id, str) and not is_text(user_id)):
        raise ValueError(f"this is not a user id: {value!r}")
    return user_id


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a peer is, as the host's `authenticate` has verified it.

    The peer is announced with this `role` and `user_id`, whatever it says itself.

    Attributes:
        user_id: A string, or an integer within ±2^53 (7.0 becomes 7); with ``None`` the peer has no user id.
        role: A string; with ``None`` the peer has no role.
        attributes: Anything else that the host needs in `authorize`; it is never sent to a peer.
        rooms: The rooms that the peer may join: names, or beginnings of names with ``*`` behind; ``None`` for any.
        expires_at: When this ends, in seconds since 1970; ``None`` if it does not. The peer is told then, and is
            closed unless it shows a fresh token.
        speak: Whether the peer may talk on the radio; without this right it only listens.
        priority: Its priority there, an integer from 0, the lowest, to 255; a higher one is served first.
        preempt: Whether it may take the floor from a talker whose priority is lower.
        uninterruptible: Whether nothing but an emergency takes the floor from it.
        dispatch: Whether it may take the floor from others, give it to them, and watch rooms that it is not in.
        emergency: Whether it may declare an emergency, which goes before every priority.

        issued_at: When what proves this was issued, in seconds since 1970; ``None`` if that is not known. Whoever
            is revoked is only let in by what was issued later.

    Raises:
        ValueError: One of these is of another type, or out of its bounds.
    """

    user_id: UserId | None = None
    role: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    rooms: tuple[str, ...] | None = field(default=None, kw_only=True)
    expires_at: float | None = field(default=None, kw_only=True)
    # Who is let in talks, as anybody does without identities; what cuts others off has to be given
    speak: bool = field(default=True, kw_only=True)
    priority: int = field(default=0, kw_only=True)
    preempt: bool = field(default=False, kw_only=True)
    uninterruptible: bool = field(default=False, kw_only=True)
    dispatch: bool = field(default=False, kw_only=True)
    emergency: bool = field(default=False, kw_only=True)
    issued_at: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.user_id is not None:
            user_id = read_user_id(self.user_id)
            if user_id is None:
                raise ValueError(f"user_id is neither a string nor an integer within ±2^53: {self.user_id!r}")
            object.__setattr__(self, "user_id", user_id)
        if self.role is not None and not isinstance(self.role, str):
            raise ValueError(f"role is not a string: {self.role!r}")
        if not all(is_text(each) for each in (self.user_id, self.role) if isinstance(each, str)):
            raise ValueError(
                "user_id or role has half of a surrogate pair, which no store and no peer can read"
            )
        if self.rooms is not None and not _are_names(self.rooms):
            raise ValueError(f"rooms is not a sequence of strings: {self.rooms!r}")
        for name, value in (("expires_at", self.expires_at), ("issued_at", self.issued_at)):
            if value is not None and not _is_time(value):
                raise ValueError(f"{name} is no time until the year 9999: {value!r}")
        self._check_radio()

    def _check_radio(self) -> None:
        priority = read_priority(self.priority)
        if priority is None:
            raise ValueError(f"priority is no integer from 0 to {HIGHEST_PRIORITY}: {self.priority!r}")
        object.__setattr__(self, "priority", priority)
        wrong = [right for right in RIGHTS if not isinstance(getattr(self, right), bool)]
        if wrong:
            raise ValueError(f"{wrong[0]} is not true or false: {getattr(self, wrong[0])!r}")

    def check_lengths(self, settings: NameSettings) -> None:
        """Do nothing with an identity that takes no more room than the settings allow.

        Raises:
            CredentialRefused: A name in it is too long, or there are too many.
        """
        if isinstance(self.user_id, str) and len(self.user_id) > settings.user_id_length:
            raise CredentialRefused("the user id is longer than user_id_length")
        if self.role is not None and len(self.role) > settings.role_length:
            raise CredentialRefused("the role is longer than role_length")
        rooms = self.rooms or ()
        if len(rooms) > settings.identity_rooms:
            raise CredentialRefused("the rooms are more than identity_rooms")
        if any(len(room.removesuffix("*")) > settings.room_name_length for room in rooms):
            raise CredentialRefused("one of the rooms is longer than room_name_length")

    def allows(self, room: str) -> bool:
        """Tell whether the peer may join a room, as far as `rooms` says."""
        return self.rooms is None or any(
            room.startswith(each[:-1]) if each.endswith("*") else room == each for each in self.rooms
        )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Identity:
        """Create an identity from a mapping with any of its fields but `attributes`, and anything else.

        Raises:
            ValueError: As for `Identity`.
        """
        own = [each.name for each in fields(cls) if each.name != "attributes"]
        attributes = {key: value for key, value in mapping.items() if key not in own}
        return cls(**{key: mapping[key] for key in own if key in mapping}, attributes=attributes)


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= LATEST


def _are_names(rooms: object) -> bool:
    return isinstance(rooms, (tuple, list)) and all(isinstance(room, str) for room in rooms)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The proof of identity that a connection offers; the argument of the host's `authenticate`.

    Attributes:
        token: ``auth.token`` of Socket.IO's CONNECT, or else ``token`` of the query, or else the bearer token of
            the ``Authorization`` header; ``None`` if there is none. (A token in a query ends up in access logs.)
        auth: The whole ``auth`` object of Socket.IO's CONNECT; empty if there is none.
        headers: The request's headers, with names in lower case; without cookies if any page may connect
            (``cors_origins="*"``), because a browser sends them whichever page asks.
        query: The request's query; if a name occurs twice, the last value.
        client: The address that the connection comes from, without the port. If the server trusts a proxy in front,
            it is the address that the proxy forwards. ``None`` on a Unix socket.
        is_suspect: Whether so many bad credentials came from that address within the last minute that nothing
            costly should be done for this one, such as asking another server for an unknown key.
    """

    token: str | None
    auth: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    client: str | None = None
    is_suspect: bool = False

    def __repr__(self) -> str:
        """Leave out every secret, because a log may print this."""
        return f"Credentials(token={'…' if self.token else None}, client={self.client!r})"
