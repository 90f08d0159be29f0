"""Each fact that is told becomes the event that the page describes."""

from __future__ import annotations

import json

import pytest

from walkie_signal.core.changes import Member
from walkie_signal.core.facts import ConnectRefused, EventRefused, MemberJoined, MemberLeft
from walkie_signal.webhook.events import KINDS, text_of

ANN = Member("a", "gate", "guard", 7, "n1")
ABOUT = {"room": "gate", "peerId": "a", "userId": 7, "role": "guard"}
UNKNOWN = Member("b", "gate", None, None, "n1")


@pytest.mark.parametrize(
    ("fact", "kind", "data"),
    [
        (MemberJoined(ANN), "member.joined", ABOUT),
        (
            MemberJoined(UNKNOWN),
            "member.joined",
            {"room": "gate", "peerId": "b", "userId": None, "role": None},
        ),
        (MemberLeft(ANN, "kicked"), "member.left", {**ABOUT, "reason": "kicked"}),
        (
            ConnectRefused("unauthorized, no token", "192.0.2.1"),
            "connect.refused",
            {"why": "unauthorized, no token", "address": "192.0.2.1"},
        ),
        (
            EventRefused("join_room", "room_full", "a", "a link"),
            "event.refused",
            {"event": "join_room", "code": "room_full", "peerId": "a"},
        ),
    ],
)
def test_a_fact_becomes_an_event(fact: object, kind: str, data: object) -> None:
    row = KINDS[type(fact)]
    assert json.loads(text_of("p-1", row, 1_700_000_000.0625, row.data(fact))) == {
        "id": "p-1",
        "type": kind,
        "timestamp": "2023-11-14T22:13:20.062Z",
        "data": data,
    }
