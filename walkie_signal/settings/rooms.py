"""Rooms, their members, and the names of both."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True)
class RoomSettings(Group):
    """How large rooms are, and how many of them a peer may be in."""

    room_capacity: int = setting(
        1000,
        "How many members a room may have.",
        least=1,
        reason="A roster of 1,000 has some 70 KB, and goes to each of them after every change, at the pace of "
        "`status_bytes`.",
    )
    rooms_per_peer: int = setting(
        1,
        "How many rooms a peer may be in at once. With 1, joining another room moves the peer; "
        "with more, it adds a room.",
        least=1,
        reason="A walkie-talkie is tuned to one channel; apps written for the Node server join the next room "
        "without leaving the last.",
    )


@dataclass(frozen=True, kw_only=True)
class NameSettings(Group):
    """How long names are, whether a peer says them or its identity has them."""

    room_name_length: int = setting(
        128,
        "Longest room name.",
        unit="characters",
        least=1,
        reason="LiveKit takes 256, Centrifugo 255. Ours is in the events of a room and in the keys of Redis, and "
        "an id of a host's with a word before it has 40 or so.",
    )
    role_length: int = setting(
        64,
        "Longest role.",
        unit="characters",
        least=0,
        reason="A role is a word, and stands in the roster once for each member.",
    )
    user_id_length: int = setting(
        64,
        "Longest user id.",
        unit="characters",
        least=1,
        reason="A UUID has 36 and a SHA-256 in hexadecimal 64; LiveKit takes 256. It stands in the roster once for "
        "each member.",
    )
    identity_rooms: int = setting(
        256,
        "Most names in the `rooms` of an identity.",
        least=1,
        reason="A token of 16 KiB holds some 100 of the longest. Who may join more rooms has a beginning with * "
        "behind, or a host's `authorize`.",
    )
