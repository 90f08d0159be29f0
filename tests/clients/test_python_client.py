"""python-socketio's own client: the whole of joining, signaling and leaving, on each of its transports.

Payloads are compared as JSON text: the order of keys, and whether a number is one, are part of the contract.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations
from typing import Any

import pytest

from support.servers import serve
from support.stock import StockPeer, peers


@pytest.fixture(params=["polling", "websocket", "polling,websocket"])
def transports(request: pytest.FixtureRequest) -> list[str]:
    """Return what the client may use; with both it connects by polling and upgrades."""
    names: str = request.param
    return names.split(",")


@asynccontextmanager
async def peers_of(transports: list[str], *names: str) -> AsyncIterator[list[StockPeer]]:
    """Start a server and connect a peer for each name; a name is a room to join, ``-`` for none."""
    rooms = [None if name == "-" else name for name in names]
    async with (
        serve() as server,
        peers(server.url, *rooms, transport=",".join(transports), keeps_acks=True) as connected,
    ):
        yield connected


def same(actual: Any, expected: Any) -> None:
    assert json.dumps(actual) == json.dumps(expected)


@pytest.mark.promise("The wire", "A joiner gets its ack first, then each peer, then the roster")
async def test_a_joiner_hears_its_ack_then_each_peer_then_the_roster(transports: list[str]) -> None:
    async with peers_of(transports, "-", "-", "-") as (guard, plain, joiner):
        await guard.join("patrol", role="guard", userId=7)
        await plain.join("patrol")
        ack = await joiner.join("patrol", role="", userId="7")
        roster = await joiner.hears_roster(guard.peer_id, plain.peer_id, joiner.peer_id)

        me = joiner.peer_id
        peers = [
            {"peerId": guard.peer_id, "role": "guard", "userId": 7, "polite": me > guard.peer_id},
            {"peerId": plain.peer_id, "polite": me > plain.peer_id},
        ]
        same(ack, {"ok": True, "room": "patrol", "peerId": me, "peers": peers})
        announced = [{**peer, "room": "patrol"} for peer in peers]
        for each in announced:
            each["polite"] = each.pop("polite")  # after the room, where an event has it
        same(
            joiner.heard, [("ack", ack), *(("new_peer", each) for each in announced), ("room_status", roster)]
        )
        members = [
            {"userId": 7, "role": "guard", "peerId": guard.peer_id},
            {"peerId": plain.peer_id},
            {"userId": "7", "role": "", "peerId": me},
        ]
        same(roster, {"members": members, "room": "patrol"})

        told = {"peerId": me, "role": "", "userId": "7", "room": "patrol", "polite": guard.peer_id > me}
        same(await guard.hears("new_peer", peerId=me), told)
        same(await guard.hears_roster(guard.peer_id, plain.peer_id, me), roster)


@pytest.mark.promise("The wire", "`polite` is opposite for each pair")
async def test_polite_is_opposite_for_each_pair(transports: list[str]) -> None:
    async with peers_of(transports, *["patrol"] * 5) as peers:
        for one, other in combinations(peers, 2):
            of_other = await one.hears("new_peer", peerId=other.peer_id)
            of_one = await other.hears("new_peer", peerId=one.peer_id)
            assert of_other["polite"] is (one.peer_id > other.peer_id)
            assert of_one["polite"] is not of_other["polite"]


@pytest.mark.parametrize(
    "value",
    [{"type": "offer", "sdp": "v=0\r\n"}, None, [], "", 0, False, 1.5, 2**53, "über 🎙 \x00", {"": {}}],
)
async def test_a_signal_of_any_value_goes_both_ways(value: Any) -> None:
    async with peers_of(["websocket"], "patrol", "patrol") as (one, other):
        for sender, target in ((one, other), (other, one), (one, one)):
            same(await sender.signal(target, value), {"ok": True})
            same(
                await target.hears("signal", fromId=sender.peer_id),
                {"fromId": sender.peer_id, "signal": value},
            )


@pytest.mark.promise(
    "The wire",
    "Signals from one peer to another arrive in order: of 1,000 offers, none comes after its candidates",
)
async def test_200_signals_keep_their_order(transports: list[str]) -> None:
    """Over polling too, where this client gives up on a poll that brings more than 16 packets."""
    async with peers_of(transports, "patrol", "patrol") as (one, other):
        for number in range(200):
            for sender, target in ((one, other), (other, one)):
                await sender.sio.emit("signal", {"targetId": target.peer_id, "signal": number})
        for sender, target in ((one, other), (other, one)):
            await target.hears("signal", signal=199)
            same(target.all("signal"), [{"fromId": sender.peer_id, "signal": each} for each in range(200)])


MISTAKES: list[tuple[str, Any, str]] = [
    ("join_room", {}, "invalid_payload"),
    ("join_room", {"room": 5}, "invalid_payload"),
    ("join_room", "patrol", "invalid_payload"),
    ("join_room", {"room": "other", "userId": True}, "invalid_payload"),
    ("leave_room", {"room": "other"}, "not_in_room"),
    ("signal", {"signal": 1}, "invalid_payload"),
    ("signal", {"targetId": "nobody", "signal": 1}, "peer_not_found"),
    ("signal", {"targetId": "{stranger}", "signal": 1}, "peer_not_found"),
    ("signal", {"targetId": "patrol", "signal": 1}, "peer_not_found"),
    ("hello", {"any": "thing"}, "unknown_event"),
]


@pytest.mark.parametrize("asked", [True, False], ids=["ack", "no-ack"])
async def test_a_mistake_is_told_to_its_sender_alone(*, asked: bool) -> None:
    """By the ack where one was asked for, else by ``signal_error``; and it changes nothing."""
    async with peers_of(["websocket"], "patrol", "patrol", "elsewhere") as (one, other, stranger):
        await one.hears_roster(one.peer_id, other.peer_id)
        await other.hears_roster(one.peer_id, other.peer_id)
        await stranger.hears_roster(stranger.peer_id)
        ids = {"{other}": other.peer_id, "{stranger}": stranger.peer_id}
        for peer in (one, other, stranger):
            peer.heard.clear()
        for event, data, code in MISTAKES:
            sent = {k: ids.get(v, v) for k, v in data.items()} if isinstance(data, dict) else data
            if asked:
                ack = await one.ask(event, sent)
                same([list(ack), list(ack["error"])[:2]], [["ok", "error"], ["code", "message"]])
                assert (ack["ok"], ack["error"]["code"]) == (False, code), (event, sent, ack)
            else:
                await one.sio.emit(event, sent)
        # whatever else these would hear has come before this
        same(await one.signal(other, "still here"), {"ok": True})
        await other.hears("signal")
        same(other.heard, [("signal", {"fromId": one.peer_id, "signal": "still here"})])
        assert stranger.heard == []
        told = [(each["event"], each["code"]) for each in one.all("signal_error")]
        assert told == ([] if asked else [(event, code) for event, _, code in MISTAKES])


async def test_who_joins_nothing_has_nobody_to_signal_and_nothing_to_leave(transports: list[str]) -> None:
    """It is answered when it has had its time to join."""
    async with peers_of(transports, "-", "patrol") as (outside, member):
        assert (await outside.signal(member, 1))["error"]["code"] == "not_in_room"
        assert (await outside.ask("leave_room", {"room": "patrol"}))["error"]["code"] == "not_in_room"
        await outside.sio.emit("signal", {"targetId": member.peer_id, "signal": 1})
        assert (await outside.hears("signal_error"))["code"] == "not_in_room"


@pytest.mark.parametrize("named", [{"room": "patrol"}, {}], ids=["one-room", "every-room"])
async def test_who_leaves_is_gone_at_once_and_can_come_back(named: dict[str, str]) -> None:
    async with peers_of(["websocket"], "patrol", "patrol") as (stays, leaves):
        same(await leaves.ask("leave_room", named), {"ok": True})
        gone = {"peerId": leaves.peer_id, "room": "patrol", "reason": "left"}
        same(await stays.hears("peer_disconnected"), gone)
        await stays.hears_roster(stays.peer_id)
        assert (await stays.signal(leaves, 1))["error"]["code"] == "peer_not_found"
        assert (await leaves.signal(stays, 1))["error"]["code"] == "not_in_room"
        stays.heard.clear()
        assert (await leaves.join("patrol"))["peers"][0]["peerId"] == stays.peer_id
        await stays.hears("new_peer", peerId=leaves.peer_id)
        assert leaves.all("peer_disconnected") == []


async def test_a_second_join_moves_the_peer(transports: list[str]) -> None:
    async with peers_of(transports, "old", "new", "old") as (of_old, of_new, mover):
        before = mover.peer_id
        ack = await mover.join("new", role="guard")
        assert (ack["room"], ack["peerId"]) == ("new", before)
        assert [each["peerId"] for each in ack["peers"]] == [of_new.peer_id]
        same(await of_old.hears("peer_disconnected"), {"peerId": before, "room": "old", "reason": "left"})
        await of_old.hears_roster(of_old.peer_id)
        arrival = await of_new.hears("new_peer")
        assert (arrival["peerId"], arrival["room"], arrival["role"]) == (before, "new", "guard")
        await mover.hears_roster(of_new.peer_id, before)
        assert (await of_old.signal(mover, 1))["error"]["code"] == "peer_not_found"
        assert (await mover.signal(of_old, 1))["error"]["code"] == "peer_not_found"
        same(await mover.signal(of_new, 1), {"ok": True})


async def test_joining_the_same_room_again_announces_the_peer_anew(transports: list[str]) -> None:
    async with peers_of(transports, "patrol", "-") as (member, again):
        await again.join("patrol", role="guard", userId=1)
        await member.hears("new_peer", role="guard")
        ack = await again.join("patrol", role="supervisor")
        assert [each["peerId"] for each in ack["peers"]] == [member.peer_id]
        arrival = await member.hears("new_peer", role="supervisor")
        assert (arrival["peerId"], "userId" in arrival) == (again.peer_id, False)
        await member.until(
            lambda: (
                {"role": "supervisor", "peerId": again.peer_id} in member.all("room_status")[-1]["members"]
            ),
            "roster with the new role",
        )
        assert len(member.all("room_status")[-1]["members"]) == 2
        assert member.all("peer_disconnected") == []
        await again.until(lambda: len(again.all("new_peer")) == 2, "second new_peer of the member")


async def test_a_disconnect_is_heard_by_the_room(transports: list[str]) -> None:
    async with peers_of(transports, "patrol", "patrol") as (stays, goes):
        gone_id = goes.peer_id
        await goes.sio.disconnect()
        gone = {"peerId": gone_id, "room": "patrol", "reason": "disconnected"}
        same(await stays.hears("peer_disconnected"), gone)
        await stays.hears_roster(stays.peer_id)
        stays.heard.clear()
        refused = await stays.ask("signal", {"targetId": gone_id, "signal": 1})
        assert refused["error"]["code"] == "peer_not_found"
        assert [name for name, _ in stays.heard] == ["ack"]
