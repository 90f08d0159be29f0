"""Which facts are told, and as what.

To tell a further kind of fact, give it a row in `KINDS`, and one on the page about the webhook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from walkie_signal.core.changes import Member
from walkie_signal.core.facts import ConnectRefused, EventRefused, MemberJoined, MemberLeft
from walkie_signal.wire.json import dumps

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """How facts of one kind are told.

    Attributes:
        type: The ``type`` of the event.
        data: Returns the ``data`` of the event.
        sort: Returns a word of ours by which facts are counted that strangers can cause any number of; ``None`` if
            they are all told.
    """

    type: str
    data: Callable[[Any], Data]
    sort: Callable[[Any], str] | None = None


def _about(member: Member) -> Data:
    return {
        "room": member.room,
        "peerId": member.peer_id,
        "userId": member.user_id,
        "role": member.role,
    }


def _joined(fact: MemberJoined) -> Data:
    return _about(fact.member)


def _left(fact: MemberLeft) -> Data:
    return {**_about(fact.member), "reason": fact.reason}


def _connect_refused(fact: ConnectRefused) -> Data:
    return {"why": fact.why, "address": fact.address}


def _event_refused(fact: EventRefused) -> Data:
    return {"event": fact.event, "code": fact.code, "peerId": fact.peer_id}


KINDS: Mapping[type[Any], Kind] = {
    MemberJoined: Kind("member.joined", _joined),
    MemberLeft: Kind("member.left", _left),
    ConnectRefused: Kind("connect.refused", _connect_refused, lambda fact: fact.why),
    EventRefused: Kind("event.refused", _event_refused, lambda fact: fact.code),
}
"""The facts that are told; a join and a leave cost whoever causes them a round trip, a refusal costs nothing."""


def text_of(event_id: str, kind: Kind, at: float, data: Data) -> bytes:
    """Write an event; `at` is when it happened, in seconds since 1970."""
    when = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
    event = {"id": event_id, "type": kind.type, "timestamp": when.replace("+00:00", "Z"), "data": data}
    return dumps(event).encode()
