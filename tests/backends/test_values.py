"""Values beside rooms, between two nodes: who hears of a swap, and what becomes of them with Redis' memory."""

from __future__ import annotations

import asyncio

import pytest

from backends.pairs import ROOM, Site, away, pair, ready
from support.redis import RedisServer
from support.waiting import becomes
from walkie_signal.core.changes import Joined
from walkie_signal.core.values import ABSENT
from walkie_signal.errors import SignalingError

VALUES = f"{ROOM}:values"


async def scripts_run(server: RedisServer) -> int:
    """Return how many scripts Redis has run so far."""
    found = await server.command("INFO", "commandstats")
    return int(found.get("cmdstat_evalsha", {"calls": 0})["calls"])


async def both_in(one: Site, two: Site) -> None:
    """Let each node have a member of the room, and know of the other's."""
    await one.join("a")
    await two.join("b")
    await one.until(lambda: len(one.kept.applied) == 2)


async def swapped(site: Site, key: str, text: str) -> None:
    """Swap a value from whichever version it has."""
    version = (await site.backend.read("r", key)).version
    assert await site.backend.swap("r", key, version, text) == "swapped"


def kept(site: Site, key: str) -> str | None:
    """Return the text of a value in a node's copy of the room."""
    followed = site.backend._followed.get("r")
    assert followed is not None
    value = followed._replica.values.get(key)
    return None if value is None else value.text


async def keeps(site: Site, key: str, text: str | None) -> None:
    await becomes(lambda: kept(site, key), text)


async def test_a_swap_is_heard_by_the_nodes_that_follow_the_room_and_reads_nothing_anew() -> None:
    async with pair(3) as (server, (one, two, outside)):
        await both_in(one, two)
        before = await scripts_run(server)
        for number in range(10):
            await swapped((one, two, outside)[number % 3], "floor", f"turn {number}")
        for site in (one, two):
            await asyncio.wait_for(keeps(site, "floor", "turn 9"), 5)
            assert len(site.kept.applied) == 2
        assert (await outside.backend.read("r", "floor")).text == "turn 9"
        assert outside.backend._followed.get("r") is None
        beats = 3
        assert await scripts_run(server) - before < 2 * 10 + 1 + 2 * beats, "a room was read anew"


async def test_a_kind_of_change_that_a_node_does_not_know_is_passed_over() -> None:
    """A later release may publish one: with each a node would read the room anew."""
    async with pair() as (server, (one, two)):
        await both_in(one, two)
        before = await scripts_run(server)
        for number in range(20):
            epoch, count = (await server.command("HGET", ROOM, "")).split(" ")
            version = f"{epoch} {int(count) + 1}"
            await server.command("HSET", ROOM, "", version)
            await server.command("PUBLISH", ROOM, f"1 {version} z of a kind {number}")
        c = await one.join("c")
        await two.until(lambda: Joined(c) in two.kept.applied)
        assert await scripts_run(server) - before < 20


async def test_who_joins_gets_the_values_with_the_room() -> None:
    async with pair() as (_, (one, two)):
        await one.join("a")
        await swapped(one, "floor", "text")
        await two.join("b")
        assert kept(two, "floor") == "text"


async def test_a_store_that_forgets_all_is_told_the_values_by_who_swapped_them() -> None:
    async with pair() as (server, (one, two)):
        await both_in(one, two)
        await swapped(one, "floor", "of one")
        await swapped(two, "call", "of two")
        for site in (one, two):
            await asyncio.wait_for(keeps(site, "floor", "of one"), 5)
            await asyncio.wait_for(keeps(site, "call", "of two"), 5)
        before = [await one.backend.read("r", key) for key in ("floor", "call")]
        await server.command("FLUSHALL")
        await asyncio.gather(away(one), away(two))
        await asyncio.gather(ready(one), ready(two))
        assert [await two.backend.read("r", key) for key in ("floor", "call")] == before
        await swapped(two, "floor", "later")
        await asyncio.wait_for(keeps(one, "floor", "later"), 5)


async def test_a_value_whose_node_has_not_written_back_is_unavailable_and_not_absent() -> None:
    """Otherwise the floor would be granted twice."""
    async with pair() as (server, (one, two)):
        await both_in(one, two)
        await swapped(one, "floor", "of one")
        await asyncio.wait_for(keeps(two, "floor", "of one"), 5)
        await one.backend._uplink.close()  # it says nothing any more
        await server.command("FLUSHALL")
        await away(two)
        await ready(two)
        asked = (two.backend.read("r", "floor"), two.backend.swap("r", "floor", 0, "of two"))
        for each in asked:
            with pytest.raises(SignalingError) as caught:
                await each
            assert caught.value.code == "unavailable"
        assert await two.backend.read("r", "call") == ABSENT
        two.backend._healing.release()
        assert await two.backend.read("r", "floor") == ABSENT


@pytest.mark.parametrize("strange", [("SET", "x"), ("HSET", "floor", "of another"), ("HSET", "floor", "9 9")])
async def test_a_strange_key_of_values_keeps_nobody_from_the_room(strange: tuple[str, ...]) -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        await server.command(strange[0], VALUES, *strange[1:])
        await two.join("b")
        for asked in (one.backend.read("r", "floor"), one.backend.swap("r", "floor", 0, "text")):
            with pytest.raises(SignalingError) as caught:
                await asked
            assert caught.value.code == "unavailable"
        await two.backend.leave("r", "b", "left")
        await one.backend.leave("r", "a", "left")
        assert await server.command("EXISTS", ROOM) == 0
        await one.join("c")


async def test_a_room_that_ends_leaves_no_key_behind() -> None:
    async with pair() as (server, (one, two)):
        await both_in(one, two)
        await swapped(one, "floor", "text")
        assert await server.command("PTTL", VALUES) > 3_000_000
        await one.backend.leave("r", "a", "left")
        assert await server.command("EXISTS", VALUES) == 1
        await two.backend.leave("r", "b", "left")
        assert await server.command("EXISTS", ROOM, VALUES) == 0


async def test_values_of_an_empty_room_are_read_anew_by_who_follows_it_a_few_times_at_most() -> None:
    async with pair() as (server, (one, two)):
        await both_in(one, two)
        await one.backend.leave("r", "a", "left")
        await two.backend.leave("r", "b", "left")
        before = await scripts_run(server)
        for number in range(5):
            version = (await one.backend.read("r", "call")).version
            assert await one.backend.swap("r", "call", version, f"ring {number}", keep=60) == "swapped"
        c = await one.join("c")
        await two.join("d")
        await two.until(lambda: Joined(c) in two.kept.applied)
        for site in (one, two):
            await asyncio.wait_for(keeps(site, "call", "ring 4"), 5)
        beats = 4
        assert await scripts_run(server) - before < 2 * 5 + 2 + 2 * 8 + 2 * beats
