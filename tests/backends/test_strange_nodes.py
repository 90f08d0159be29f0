"""Somebody else writes into the keys by which nodes know of one another: nodes go on, and the dead are removed."""

from __future__ import annotations

import asyncio
import operator
from functools import partial

import pytest

from backends.pairs import NODES, ROOM, away, pair, ready
from backends.test_strange_keys import BASE, hiccup, lines, write
from support.waiting import eventually
from walkie_signal.core.changes import Joined


async def test_nodes_whose_names_are_none_are_passed_over() -> None:
    async with pair(1) as (server, (one,)):
        await one.join("a")
        for name, score in ((b"\xff\xfe", "1"), (b"", "-inf"), (b"later", "inf")):
            await server.command("ZADD", NODES, score, name)
        await server.command("SADD", f"{BASE}node:{{later}}:rooms", b"\xff")
        await hiccup(server, one)
        assert await one.backend.rooms() == ["r"]
        assert await one.backend.roster("r")


CLAIMS: dict[str, tuple[str, str, int]] = {
    "a list": ("RPUSH", "of another", 1),
    "of nobody, without an expiry": ("SET", "by hand", 0),
    "of a node that has ended": ("SET", "ended", 0),
    "of the dead node itself": ("SET", "dead", 0),
    "of a living node, without an expiry": ("SET", "NODE", 0),
}


@pytest.mark.promise(
    "Many nodes",
    "A key of ours that holds something else is named in one line; nodes stay ready for everything else, "
    "and each beat tries a few such keys again",
)
@pytest.mark.parametrize(("command", "value", "told"), CLAIMS.values(), ids=CLAIMS)
async def test_a_claim_that_is_strange_keeps_nobody_from_removing_a_dead_node(
    command: str, value: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair() as (server, (one, _)):
        claim = f"{NODES}:claim:dead"
        await write(server, claim, (command, value.replace("NODE", one.backend.node_id)))
        await server.command("ZADD", NODES, "1000000000000000", "dead")
        await eventually(
            lambda: server.command("ZSCORE", NODES, "dead"), lambda score: score is None, "removed", within=20
        )
        assert len(lines(caplog, claim)) == told


@pytest.mark.promise(
    "Many nodes",
    "A key of ours that holds something else is named in one line; nodes stay ready for everything else, "
    "and each beat tries a few such keys again",
)
async def test_a_generation_that_is_no_text_is_one_like_any_other() -> None:
    async with pair() as (server, (one, two)):
        a, b = await one.join("a"), await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        await server.command("SET", f"{NODES}:generation", b"1:\xff\xfe")
        await asyncio.gather(away(one), away(two))
        await asyncio.gather(ready(one), ready(two))
        assert one.kept.applied == [Joined(a), Joined(b)]
        assert list(await two.backend.roster("r")) == [a, b]


async def test_a_change_of_an_unknown_kind_that_the_store_has_not_made_holds_nobody_up() -> None:
    """It has the version that the next change will have."""
    async with pair() as (server, (one, two)):
        await one.join("a")
        await two.join("b")
        for number, peer_id in enumerate("cde"):
            epoch, last = map(int, (await server.command("HGET", ROOM, "")).split(" "))
            await server.command("PUBLISH", ROOM, f"1 {epoch} {last + 1} z whatever it may be")
            joined = Joined(await asyncio.wait_for((one, two)[number % 2].join(peer_id), 1))
            for site in (one, two):
                await site.until(partial(operator.contains, site.kept.applied, joined), within=1)
