"""What peers are told: the payload of each event, with its keys in the wire protocol's order.

A key that a peer did not give is left out. Keys that the legacy server did not have come last. `wire.relays` writes
the payload of a signal, because the signal's value is passed on as the text that came in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from walkie_signal.core.changes import Member

Payload = dict[str, Any]


def is_polite(peer_id: str, towards: str) -> bool:
    """Tell whether `peer_id` is the polite one in perfect negotiation, which gives way.

    Ids are compared by code points, so exactly one peer of each pair is polite.
    Source: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
    """
    return peer_id > towards


def new_peer(member: Member, *, polite: bool) -> Payload:
    """Announce a member; `polite` says whether the recipient is polite towards it."""
    return {"peerId": member.peer_id, **_given(member), "room": member.room, "polite": polite}


def peer_disconnected(peer_id: str, room: str, reason: str) -> Payload:
    """Tell that a member is gone."""
    return {"peerId": peer_id, "room": room, "reason": reason}


def room_status(room: str, members: Iterable[Member]) -> Payload:
    """Give the whole roster."""
    return {"members": [_listed(member) for member in members], "room": room}


def joined(room: str, peer_id: str, others: Iterable[Member]) -> Payload:
    """Acknowledge a join."""
    peers = [
        {"peerId": other.peer_id, **_given(other), "polite": is_polite(peer_id, other.peer_id)}
        for other in others
    ]
    return {"ok": True, "room": room, "peerId": peer_id, "peers": peers}


def _given(member: Member) -> Payload:
    """Return what the member said about itself, in the order of ``new_peer``."""
    given: Payload = {}
    if member.role is not None:
        given["role"] = member.role
    if member.user_id is not None:
        given["userId"] = member.user_id
    return given


def _listed(member: Member) -> Payload:
    """Return what the member said about itself, in the order of ``room_status``: userId comes first."""
    listed: Payload = {}
    if member.user_id is not None:
        listed["userId"] = member.user_id
    if member.role is not None:
        listed["role"] = member.role
    listed["peerId"] = member.peer_id
    return listed
