from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.links import Phone
from support.nodes import phone, running
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.core.changes import Member
from walkie_signal.core.identity import Identity
from walkie_signal.settings import Settings


async def joined(node: Any, peer_id: str, room: str = "r", **payload: Any) -> Phone:
    """Connect a peer and put it into a room."""
    connected = phone(node, peer_id)
    assert (await connected.call("join_room", {"room": room, **payload}))["ok"]
    return connected


async def test_a_joiner_gets_its_ack_then_each_peer_then_the_roster() -> None:
    async with running() as node:
        ann = await joined(node, "a", role="guard", userId=7)
        bob = await joined(node, "b")
        assert bob.link.acks()[1] == {
            "ok": True,
            "room": "r",
            "peerId": "b",
            "peers": [{"peerId": "a", "role": "guard", "userId": 7, "polite": True}],
        }
        assert bob.link.order() == ["ack", "new_peer", "room_status"]
        assert ann.link.order() == ["ack", "room_status", "new_peer", "room_status"]
        assert ann.link.events("new_peer") == [("new_peer", {"peerId": "b", "room": "r", "polite": False})]


async def test_all_introductions_of_a_joiner_are_written_at_once() -> None:
    async with running() as node:
        there = [await joined(node, f"a{number}") for number in range(20)]
        joiner = await joined(node, "b")
        assert joiner.link.at_once == [len(there)]
        assert [told["peerId"] for _, told in joiner.link.events("new_peer")] == [
            peer.peer_id for peer in there
        ]


async def test_a_signal_reaches_its_target_and_nobody_else() -> None:
    async with running() as node:
        ann, bob, eve = [await joined(node, peer_id) for peer_id in "abe"]
        assert await ann.call("signal", {"targetId": "b", "signal": {"sdp": 1}, "fromId": "e"}) == {
            "ok": True
        }
        assert await ann.call("signal", {"targetId": "a", "signal": None}) == {"ok": True}
        assert bob.link.events("signal") == [("signal", {"fromId": "a", "signal": {"sdp": 1}})]
        assert ann.link.events("signal") == [("signal", {"fromId": "a", "signal": None})]
        assert eve.link.events("signal") == []


@pytest.mark.parametrize("target", ["nobody", "c", "r", "q", ""])
async def test_a_target_without_a_shared_room_is_not_found(target: str) -> None:
    async with running() as node:
        ann, cat = await joined(node, "a"), await joined(node, "c", "q")
        phone(node, "idle")
        answer = await ann.call("signal", {"targetId": target, "signal": 1})
        assert answer["error"]["code"] == "peer_not_found"
        assert cat.link.events("signal") == []


@pytest.mark.promise(
    "The wire",
    "An error only goes to the sender of the event, by ack or `signal_error`, and the connection stays",
)
async def test_an_error_is_acked_or_told_and_changes_nothing() -> None:
    async with running() as node:
        ann = phone(node, "a")
        assert (await ann.call("leave_room", {"room": "r"}))["error"]["code"] == "not_in_room"
        assert await ann.call("leave_room") == {"ok": True}
        ann.emit("join_room", {"room": 1})
        ((name, payload),) = ann.link.events()
        assert (name, payload["event"], payload["code"]) == ("signal_error", "join_room", "invalid_payload")
        assert await node.orders.rooms() == []


@pytest.mark.promise(
    "The wire", "A second join moves the peer; a join that fails changes nothing; a setting allows more rooms"
)
async def test_a_second_join_moves_the_peer() -> None:
    async with running() as node:
        ann, bob = await joined(node, "a"), await joined(node, "b")
        await bob.call("join_room", {"room": "q"})
        gone = {"peerId": "b", "room": "r", "reason": "left"}
        assert ann.link.events("peer_disconnected") == [("peer_disconnected", gone)]
        assert await node.orders.rooms() == ["q", "r"]
        assert [member.peer_id for member in await node.orders.roster("r")] == ["a"]
        assert (await ann.call("signal", {"targetId": "b", "signal": 1}))["error"]["code"] == "peer_not_found"


@pytest.mark.promise(
    "The wire", "A second join moves the peer; a join that fails changes nothing; a setting allows more rooms"
)
async def test_a_move_into_a_full_room_leaves_everything_as_it_was() -> None:
    async with running(Settings(room_capacity=1, status_interval=0)) as node:
        ann, bob = await joined(node, "a"), await joined(node, "b", "q")
        assert (await bob.call("join_room", {"room": "r"}))["error"]["code"] == "room_full"
        assert [member.peer_id for member in await node.orders.roster("q")] == ["b"]
        assert ann.link.events("new_peer", "peer_disconnected") == []
        assert (await ann.call("join_room", {"room": "r", "role": "lead"}))["ok"], (
            "it is in the full room already"
        )


@pytest.mark.promise(
    "The wire", "A second join moves the peer; a join that fails changes nothing; a setting allows more rooms"
)
async def test_with_several_rooms_a_join_adds_and_one_too_many_is_refused() -> None:
    async with running(Settings(rooms_per_peer=2, status_interval=0)) as node:
        ann = await joined(node, "a")
        assert (await ann.call("join_room", {"room": "q"}))["ok"]
        assert (await ann.call("join_room", {"room": "p"}))["error"]["code"] == "too_many_rooms"
        assert await node.orders.rooms() == ["q", "r"]
        assert await ann.call("leave_room", {"room": "r"}) == {"ok": True}
        assert await node.orders.rooms() == ["q"]
        assert await ann.call("leave_room") == {"ok": True}
        assert await node.orders.rooms() == []


async def test_joining_again_announces_the_new_role_to_all() -> None:
    async with running() as node:
        ann, bob = await joined(node, "a", role="guard"), await joined(node, "b")
        await ann.call("join_room", {"room": "r", "role": "lead"})
        assert bob.link.events("new_peer")[-1][1]["role"] == "lead"
        assert bob.link.events("peer_disconnected") == []
        assert ann.link.order()[-3:] == ["ack", "new_peer", "room_status"]
        assert [(member.peer_id, member.role) for member in await node.orders.roster("r")] == [
            ("a", "lead"),
            ("b", None),
        ]


async def test_who_is_gone_is_gone_from_every_roster() -> None:
    async with running(Settings(rooms_per_peer=2, status_interval=0)) as node:
        ann, bob = await joined(node, "a"), await joined(node, "b", "q")
        await ann.call("join_room", {"room": "q"})
        node.disconnect("a", "timeout")
        node.disconnect("a", "disconnected")
        await ann.peer.settled()
        gone = {"peerId": "a", "room": "q", "reason": "timeout"}
        assert bob.link.events("peer_disconnected") == [("peer_disconnected", gone)]
        assert await node.orders.rooms() == ["q"]
        assert node.peer("a") is None


async def test_a_disconnect_undoes_a_join_that_is_under_way() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def authorize(_identity: Identity, room: str) -> bool:
        if room == "q":
            asked.set()
            await answer.wait()
        return True

    async with running(authorize=authorize) as node:
        ann, bob = phone(node, "a"), await joined(node, "b", "q0")
        ann.emit("join_room", {"room": "q"}, ack=True)
        await asyncio.wait_for(asked.wait(), 5)
        node.disconnect("a", "disconnected")
        answer.set()
        await ann.peer.settled()
        assert await node.orders.rooms() == ["q0"]
        assert ann.link.texts == []
        assert bob.link.events("new_peer") == []


async def test_events_of_a_peer_wait_for_its_join_in_order_and_are_bounded() -> None:
    answer = asyncio.Event()

    async def authorize(_identity: Identity, room: str) -> bool:
        if room == "slow":
            await answer.wait()
        return True

    async with running(Settings(queued_events=3, status_interval=0), authorize=authorize) as node:
        bob = await joined(node, "b", "slow0")
        await bob.call("join_room", {"room": "r"})
        ann = phone(node, "a")
        ann.emit("join_room", {"room": "slow"})
        for number in range(3):
            ann.emit("signal", {"targetId": "a", "signal": number})
        refused = ann.emit("signal", {"targetId": "a", "signal": 3}, ack=True)
        assert ann.link.acks()[refused]["error"]["code"] == "rate_limited"
        assert ann.link.acks()[refused]["error"]["retryAfterMs"] > 0
        assert await bob.call("signal", {"targetId": "b", "signal": 1}) == {"ok": True}, "others do not wait"
        answer.set()
        await ann.peer.settled()
        assert [payload["signal"] for _, payload in ann.link.events("signal")] == [0, 1, 2]


async def test_events_before_admission_wait_for_it() -> None:
    async with running() as node:
        ann = Phone(node, "a")
        asked = ann.emit("join_room", {"room": "r"}, ack=True)
        assert ann.link.texts == []
        node.admit(ann.peer, None)
        await ann.peer.settled()
        assert ann.link.acks()[asked]["ok"]


@pytest.mark.promise("The wire", "A bug of ours is answered `internal` and logged, and nothing is lost")
async def test_a_fault_of_ours_answers_internal_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(MemoryBackend):
        async def join(self, member: Member, capacity: int) -> None:
            if member.room == "broken":
                raise RuntimeError("secret detail")
            await super().join(member, capacity)

    async with running(backend=Faulty()) as node:
        ann = await joined(node, "a")
        answer = await ann.call("join_room", {"room": "broken"})
        assert answer == {"ok": False, "error": {"code": "internal", "message": "internal error"}}
        assert "secret detail" in caplog.text
        assert [member.peer_id for member in await node.orders.roster("r")] == ["a"]


@pytest.mark.promise(
    "The wire",
    "`room_status` is sent at once, then at its pace, which is slower in larger rooms, and the last state "
    "is always sent",
)
async def test_a_roster_is_told_at_once_then_at_its_pace_and_the_last_one_always() -> None:
    async with running(Settings(status_interval=0.05)) as node:
        ann = await joined(node, "a")
        for peer_id in "bcd":
            await joined(node, peer_id)
        assert [len(payload["members"]) for _, payload in ann.link.events("room_status")] == [1]
        await ann.link.until(lambda: len(ann.link.events("room_status")) == 2)
        assert len(ann.link.events("room_status")[-1][1]["members"]) == 4
        await ann.call("leave_room")
        assert await node.orders.rooms() == ["r"]
