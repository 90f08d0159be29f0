"""A peer is not its connection: it may have none for a while, and then another one."""

from __future__ import annotations

import logging

import pytest

from support.links import KeptLink
from support.nodes import phone, running


async def test_a_peer_hears_by_its_latest_link_and_stays_a_member_without_one() -> None:
    async with running() as node:
        ann, bob = phone(node, "a"), phone(node, "b")
        for each in (ann, bob):
            await each.call("join_room", {"room": "r"})
        first, second = ann.link, KeptLink()
        heard = list(first.texts)
        ann.peer.set_link(None)
        await bob.call("signal", {"targetId": "a", "signal": 1})
        await bob.call("join_room", {"room": "r", "role": "lead"})
        ann.peer.close()
        assert [member.peer_id for member in await node.orders.roster("r")] == ["a", "b"]
        ann.peer.set_link(second)
        await bob.call("signal", {"targetId": "a", "signal": 2})
        await bob.call("join_room", {"room": "r", "role": "aide"})
        assert (first.texts, first.closed) == (heard, False)
        assert second.order() == ["signal", "new_peer", "room_status"]
        assert second.events("signal") == [("signal", {"fromId": "b", "signal": 2})]


async def test_an_event_of_a_peer_without_a_link_is_answered_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "walkie_signal")
    async with running() as node:
        ann = phone(node, "a")
        ann.peer.set_link(None)
        ann.emit("leave_room", {"room": 7}, ack=True)
        ann.emit("shout")
        assert ann.link.texts == []
    refused = [text for text in caplog.messages if "refused" in text]
    assert refused == [
        "leave_room refused: invalid_payload (peer a, away)",
        "an event refused: unknown_event (peer a, away)",
    ]
