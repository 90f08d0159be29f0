from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.nodes import phone, running
from walkie_signal.core.changes import Member
from walkie_signal.core.identity import Credentials, Identity, UserId
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.settings import Settings


async def test_the_host_hears_of_each_join_and_leave_once_in_order_for_a_peer() -> None:
    heard: list[tuple[str, ...]] = []

    async def on_join(member: Member) -> None:
        await asyncio.sleep(0.01)  # a slow hook: a leave must not overtake it
        heard.append(("join", member.peer_id, member.room))

    def on_leave(member: Member, reason: str) -> None:
        heard.append(("leave", member.peer_id, member.room, reason))

    async with running(on_join=on_join, on_leave=on_leave) as node:
        ann = phone(node, "a")
        for payload in ({"room": "r"}, {"room": "r", "role": "lead"}, {"room": "q"}):
            assert (await ann.call("join_room", payload))["ok"]
        node.disconnect("a", "timeout")
    assert heard == [
        ("join", "a", "r"),
        ("join", "a", "q"),
        ("leave", "a", "r", "left"),
        ("leave", "a", "q", "timeout"),
    ]


async def test_a_hook_that_fails_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def on_join(member: Member) -> None:
        raise LookupError(f"no row for {member.peer_id}")

    async with running(on_join=on_join) as node:
        assert (await phone(node, "a").call("join_room", {"room": "r"}))["ok"]
        assert (await phone(node, "b").call("join_room", {"room": "r"}))["ok"]
    assert "no row for a" in caplog.text
    assert "no row for b" in caplog.text


async def test_a_hook_that_hangs_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def on_join(_member: Member) -> None:
        await asyncio.Event().wait()

    settings = Settings(callback_timeout=0.05, status_interval=0)
    async with running(settings, on_join=on_join) as node:
        assert (await phone(node, "a").call("join_room", {"room": "r"}))["ok"]
    assert "on_join failed" in caplog.text


async def test_authorize_decides_for_each_room() -> None:
    def authorize(identity: Identity, room: str) -> bool:
        return identity.role == "lead" or room != "command"

    async with running(authorize=authorize) as node:
        guard = phone(node, "a", Identity(1, "guard"))
        lead = phone(node, "b", Identity(2, "lead"))
        refused = await guard.call("join_room", {"room": "command", "role": "lead"})
        assert refused["error"]["code"] == "forbidden"
        assert (await guard.call("join_room", {"room": "north"}))["ok"]
        assert (await lead.call("join_room", {"room": "command"}))["ok"]
        assert [member.user_id for member in await node.orders.roster("command")] == [2]


async def test_a_verified_identity_is_announced_whatever_the_peer_says() -> None:
    async with running() as node:
        ann = phone(node, "a", Identity(7, "guard"))
        nameless = phone(node, "b", Identity())
        for each in (ann, nameless):
            await each.call("join_room", {"room": "r", "role": "admin", "userId": "root"})
        assert [(member.user_id, member.role) for member in await node.orders.roster("r")] == [
            (7, "guard"),
            (None, None),
        ]


async def test_a_user_is_reached_on_each_connection_in_a_room_or_not() -> None:
    async with running() as node:
        users: dict[str, UserId] = {"a": 7, "b": "7", "c": 8}
        phones = [phone(node, peer_id, Identity(user_id)) for peer_id, user_id in users.items()]
        assert await node.orders.send(7, "incoming_call", {"from": "x"}) == 2
        assert [each.link.events() for each in phones] == [[("incoming_call", {"from": "x"})]] * 2 + [[]]
        node.disconnect("a", "timeout")
        assert await node.orders.send("7", "incoming_call") == 1
        assert phones[1].link.texts[-1] == '42["incoming_call"]'
        assert await node.orders.send("nobody", "incoming_call") == 0


async def test_without_authentication_a_user_is_who_it_last_said() -> None:
    async with running() as node:
        ann = phone(node, "a")
        await ann.call("join_room", {"room": "r", "userId": "old"})
        await ann.call("join_room", {"room": "r", "userId": "new"})
        assert await node.orders.send("old", "hello") == 0
        assert await node.orders.send("new", "hello") == 1


@pytest.mark.parametrize(
    ("event", "data"), [("connect", 1), ("hello", float("nan")), ("hello", b"x"), ("hello", object())]
)
async def test_what_can_not_be_sent_is_refused(event: str, data: Any) -> None:
    async with running() as node:
        phone(node, "a", Identity(7))
        with pytest.raises(ValueError, match=r"."):
            await node.orders.send(7, event, data)


async def test_a_kick_says_so_to_the_room_and_closes_the_connection() -> None:
    async with running() as node:
        ann, bob = phone(node, "a"), phone(node, "b")
        for each in (ann, bob):
            await each.call("join_room", {"room": "r"})
        assert await node.orders.kick("b")
        assert (bob.link.texts[-1], bob.link.closed) == ("41", True)
        gone = {"peerId": "b", "room": "r", "reason": "kicked"}
        assert ann.link.events("peer_disconnected") == [("peer_disconnected", gone)]
        assert not await node.orders.kick("b")
        assert not ann.link.closed


async def test_a_closed_node_refuses_and_a_started_one_begins_anew() -> None:
    async with running() as node:
        ann = phone(node, "a")
        await ann.call("join_room", {"room": "r"})
        await node.close()
        assert ann.link.closed
        with pytest.raises(SignalingError) as caught:
            await node.ensure_started()
        assert caught.value.code == "unavailable"
        await node.start()
        assert await node.orders.rooms() == []
        assert (await phone(node, "b").call("join_room", {"room": "r"}))["peers"] == []


@pytest.mark.parametrize("answer", [True, "ann", 7, ["ann"], {"user_id": 1.5}])
async def test_an_authenticate_that_returns_nonsense_is_a_fault(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SignalingError) as caught:
        await Host(Settings(), authenticate=lambda _credentials: answer).authenticate(
            lambda: Credentials(None)
        )
    assert caught.value.code == "internal"
    assert "authenticate failed" in caplog.text
