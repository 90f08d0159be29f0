"""How often a room is told what changes often."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True)
class PaceSettings(Group):
    """How often rosters and repeated joins are told."""

    status_interval: float = setting(
        0.2,
        "Shortest time between two room_status events of a room, after the first.",
        unit="seconds",
        least=0,
        reason="To a person it is still at once; and however many join together, "
        "a member gets five rosters a second.",
    )
    status_bytes: int = setting(
        8 << 20,
        "How much the room_status events of a room may add up to on a node, on average; in a large room they "
        "come less often.",
        unit="bytes a second",
        least=1024,
        reason="67 Mbit/s, of which four seconds may be sent ahead: a room of 150 keeps `status_interval`, and one "
        "of 300 does for a second when all come back at once; one of 1,000, whose roster is 70 MB for all, has one "
        "every 8 s or so.",
    )
    announce_interval: float = setting(
        5.0,
        "Shortest time between two new_peer events about a peer that joins its room again and changes nothing.",
        unit="seconds",
        least=0,
        reason="Apps join again when a person wants to be called again; in a room of 1,000 it then costs some "
        "30 KB a second.",
    )
