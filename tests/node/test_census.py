"""The census of a node: what tests and metrics know of its inside."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from support.nodes import phone, running
from support.waiting import becomes
from walkie_signal.core.identity import Identity


def counted(census: Any) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {name: count for name, count in asdict(census).items() if count}


async def test_it_counts_what_there_is_and_is_empty_once_all_have_gone() -> None:
    opened = asyncio.Event()

    async def authorize(_identity: Identity, room: str) -> bool:
        if room == "slow":
            await opened.wait()
        return True

    async def on_leave(*_: Any) -> None:
        await opened.wait()

    async with running(authorize=authorize, on_leave=on_leave) as node:
        assert counted(node.census()) == {}
        ann, bob, early, slow = (phone(node, name, Identity(name)) for name in ("a", "b", "early", "slow"))
        for each in (ann, bob):
            await each.call("join_room", {"room": "r"})
        there = {"peers": 4, "users": 4, "rooms": 1, "members": 2, "listed": 2, "rosters": 1}
        assert counted(node.census()) == there
        early.emit("signal", {"targetId": "a", "signal": 1})
        slow.emit("join_room", {"room": "slow"})
        slow.emit("leave_room", {})
        await bob.call("join_room", {"room": "r"})
        assert counted(node.census()) == {**there, "early": 1, "waiting": 1, "announcements": 1}
        for each in (ann, bob, early, slow):
            node.disconnect(each.peer_id, "disconnected")
        await bob.peer.settled()
        assert counted(node.census()) == {"hooks": 2}
        opened.set()
        await becomes(lambda: counted(node.census()), {})
