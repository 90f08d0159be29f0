"""Redis' clock is set back: the versions of rooms begin with its time."""

from __future__ import annotations

import asyncio

import pytest

from backends.pairs import ROOM, pair
from walkie_signal.core.changes import Joined, Member


@pytest.mark.promise(
    "Many nodes",
    "When Redis' clock is set back, a room that has just become empty takes its next joiner at once",
)
async def test_a_room_that_has_just_become_empty_takes_its_next_joiner_when_the_clock_was_set_back() -> None:
    """Its version is of the time before: half a minute ahead of what the clock says now."""
    async with pair() as (server, (one, two)):
        seconds, _ = await server.command("TIME")
        await server.command("HSET", ROOM, "", f"{int(seconds) + 30}000000 0")
        for site, peer_id in ((one, "a"), (two, "b")):
            await site.join(peer_id)
        for site, peer_id in ((one, "a"), (two, "b")):
            await site.backend.leave("r", peer_id, "left")
        await two.until(lambda: len(two.kept.applied) == 4)
        await one.until(lambda: len(one.kept.applied) == 4)
        assert ROOM not in await server.keys()
        c = await asyncio.wait_for(one.join("c"), 1)  # it was refused after 1.8 s
        d = await asyncio.wait_for(two.join("d"), 1)
        for site in (one, two):
            await site.until(lambda site=site: site.kept.applied[4:] == [Joined(c), Joined(d)], within=1)


async def test_a_room_that_began_anew_unheard_after_the_clock_was_set_back_is_read_in_a_minute() -> None:
    async with pair(1) as (server, (one,)):
        seconds, _ = await server.command("TIME")
        await server.command("HSET", ROOM, "", f"{int(seconds) + 30}000000 7")
        a = await one.join("a")
        ghost = Member("x", "r", None, None, "elsewhere")
        await server.command("HSET", ROOM, "", f"{seconds}000000 1", "x", f"{seconds}000000 elsewhere {{}}")
        await one.backend._healing.check("r")
        await one.until(lambda: one.kept.applied == [Joined(a), Joined(ghost)])
