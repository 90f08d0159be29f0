"""What peers are told: the payload of each event, its keys in the wire protocol's order.

A key that a peer did not give is left out. Keys that the legacy server did not have stand last. A signal's is
written by `core.relays`, for its value goes on as the text that it came in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from walkie_signal.core.rooms import Member

Payload = dict[str, Any]


def is_polite(peer_id: str, towards: str) -> bool:
    """Tell the part of `peer_id` in perfect negotiation: the polite one gives way.

    Opposite for the two of each pair, by code points.
    Source: https://w3c.github.io/webrtc-pc/#perfect-negotiation-example
    """
    return peer_id > towards


def new_peer(member: Member, room: str, *, polite: bool) -> Payload:
    """Announce a member; `polite` is the recipient's part towards it."""
    return {"peerId": member.peer_id, **_given(member), "room": room, "polite": polite}


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
    """What the member said of itself, in the order of ``new_peer``."""
    given: Payload = {}
    if member.role is not None:
        given["role"] = member.role
    if member.user_id is not None:
        given["userId"] = member.user_id
    return given


def _listed(member: Member) -> Payload:
    """What the member said of itself, in the order of ``room_status``, where userId stands first."""
    listed: Payload = {}
    if member.user_id is not None:
        listed["userId"] = member.user_id
    if member.role is not None:
        listed["role"] = member.role
    listed["peerId"] = member.peer_id
    return listed
