"""Somebody else writes into keys of ours: one line with the key's name, and nodes are ready for all the rest."""

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import Awaitable, Callable

import pytest

from backends.pairs import NODES, ROOM, Site, away, pair, ready
from support.redis import RedisServer
from support.waiting import becomes, eventually
from walkie_signal.core.changes import Joined, Left
from walkie_signal.errors import SignalingError

BASE = "walkie-signal:/:"
OTHER_TYPES = {
    "a string": ("SET", "of another"),
    "a list": ("RPUSH", "of another"),
    "a sorted set": ("ZADD", 1, "of another"),
}
VERSIONS = ["abc", "", "7", "7 x", "-1 2", "7 " + "9" * 40, "9" * 400 + " 1"]


async def write(server: RedisServer, key: str, how: tuple[str | int, ...]) -> None:
    """Put something else in the place of a key."""
    command, *arguments = how
    await server.command("DEL", key)
    await server.command(command, key, *arguments)


async def hiccup(server: RedisServer, *sites: Site) -> None:
    """Cut every node off for a moment; they are ready again."""
    await server.command("CLIENT", "KILL", "TYPE", "pubsub")
    await asyncio.gather(*(away(site) for site in sites))
    await asyncio.gather(*(ready(site) for site in sites))


def lines(caplog: pytest.LogCaptureFixture, key: str) -> list[str]:
    """Return the lines at which somebody is to look, but for those of the hiccup."""
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    return [line for line in said if f"{key!r}" in line or "holds what" in line]


async def refused(doing: Awaitable[object], what: str) -> None:
    """Expect `unavailable`."""
    with pytest.raises(SignalingError) as caught:
        await doing
    assert caught.value.code == "unavailable", what


STRANGE_ROOMS: dict[str, tuple[str | int, ...]] = {
    **OTHER_TYPES,
    "no version": ("HSET", "x", "7 n {}"),
    **{f"the version {version[:20]!r}": ("HSET", "", version, "x", "7 n {}") for version in VERSIONS},
}


@pytest.mark.promise(
    "Many nodes",
    "A key of ours that holds something else is named in one line; nodes stay ready for everything else, "
    "and each beat tries a few such keys again",
)
@pytest.mark.parametrize("strange", STRANGE_ROOMS.values(), ids=STRANGE_ROOMS)
async def test_a_strange_room_is_set_aside_and_comes_back(
    strange: tuple[str | int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with pair() as (server, (one, two)):
        a, b, gone = await one.join("a"), await two.join("b"), await one.join("gone")
        for site in (one, two):
            await site.until(lambda site=site: len(site.kept.applied) == 3)
        await write(server, ROOM, strange)
        await hiccup(server, one, two)
        for site in (one, two):  # its members stay, and others can't come in, at once and after all
            assert site.kept.applied == [Joined(a), Joined(b), Joined(gone)]
            await refused(asyncio.wait_for(site.join("c"), 1), "a joining")
            await refused(asyncio.wait_for(site.backend.roster("r"), 1), "to ask who is there")
        await asyncio.wait_for(one.backend.leave("r", "gone", "left"), 1)
        assert one.kept.applied[3:] == [Left("r", "gone", "left")]
        d = await one.join("d", "other")
        assert list(await two.backend.roster("other")) == [d]
        assert await two.backend.rooms() == ["other"] or strange[0] == "HSET"
        assert len(lines(caplog, ROOM)) == 2, caplog.text  # of each node
        await server.command("DEL", ROOM)
        for site in (one, two):
            await site.backend._healing.check("r")
        await two.until(lambda: Left("r", "gone", "disconnected") in two.kept.applied)
        for site in (one, two):
            await site.join(f"late {site.backend.node_id}".replace(" ", ""))
            assert {"a", "b"} <= {each.peer_id for each in await site.backend.roster("r")}
        assert len(lines(caplog, ROOM)) == 2, caplog.text


async def test_a_room_that_is_strange_before_anybody_joins_it(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(1) as (server, (one,)):
        await write(server, ROOM, ("SET", "of another"))
        for _ in range(20):
            await refused(asyncio.wait_for(one.join("a"), 1), "a joining")
        assert await server.command("GET", ROOM) == "of another"
        assert await server.command("PTTL", ROOM) == -1
        assert one.kept.applied == []
        assert len(lines(caplog, ROOM)) == 1, caplog.text
        await server.command("DEL", ROOM)
        a = await one.join("a")
        assert one.kept.applied == [Joined(a)]


async def test_what_is_owed_to_a_strange_room_is_asked_once_a_try_and_paid_at_last() -> None:
    """A room of a hundred ends while its key is strange."""
    async with pair(1) as (server, (one,)):
        peers = [f"p{number}" for number in range(100)]
        await asyncio.gather(*(one.join(peer) for peer in peers))
        await one.join("a", "other")
        members = await server.command("HGETALL", ROOM)
        await write(server, ROOM, ("SET", "of another"))
        await asyncio.gather(*(one.backend.leave("r", peer, "left") for peer in peers))
        owed = one.backend._followed.owed
        await becomes(lambda: len(owed), 100)  # one is being tried
        await server.command("CONFIG", "RESETSTAT")
        await hiccup(server, one)
        calls = (await server.command("INFO", "commandstats"))["cmdstat_evalsha"]["calls"]
        assert calls < 20, "a request for each that is owed"
        assert len(owed) == 100
        await server.command("DEL", ROOM)
        await server.command("HSET", ROOM, *(text for pair in members.items() for text in pair))
        one.backend._healing.pay_soon()
        await eventually(lambda: server.command("EXISTS", ROOM), operator.not_, "over")
        await becomes(lambda: len(owed), 0)


async def test_of_a_dead_node_a_strange_room_keeps_no_other_from_being_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair() as (server, (one, two)):
        await one.join("a", "good")
        time = "1000000000000000"
        strange = f"{BASE}room:{{strange}}"
        for room in ("r", "good"):
            epoch, number = (await server.command("HGET", f"{BASE}room:{{{room}}}", "") or f"{time} 0").split(
                " "
            )
            version = f"{epoch} {int(number) + 1}"
            await server.command("HSET", f"{BASE}room:{{{room}}}", "", version, "ghost", f"{time} dead {{}}")
        await server.command("SET", strange, "of another")
        await server.command("SADD", f"{BASE}node:{{dead}}:rooms", "good", "strange", "r")
        await server.command("ZADD", NODES, time, "dead")
        await eventually(lambda: server.command("EXISTS", ROOM), operator.not_, "over", within=30)
        good = f"{BASE}room:{{good}}"
        await eventually(
            lambda: server.command("HEXISTS", good, "ghost"), operator.not_, "removed", within=30
        )
        assert {each.peer_id for site in (one, two) for each in site.kept.removed} == {"ghost"}
        assert len(lines(caplog, strange)) == 1, caplog.text
        assert await server.command("ZSCORE", NODES, "dead") is not None, "it is to be tried again"
        await server.command("DEL", strange)
        for site in (one, two):
            site.backend._heart._later.clear()  # a minute later
        await eventually(
            lambda: server.command("ZSCORE", NODES, "dead"), lambda score: score is None, "removed", within=30
        )
        assert await server.command("EXISTS", f"{BASE}node:{{dead}}:rooms") == 0
    assert caplog.text.count("could not be removed") == 0


async def test_of_a_dead_node_whose_rooms_can_not_be_read_those_that_are_known_are_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair(1) as (server, (one,)):
        await one.join("a")
        time = "1000000000000000"
        epoch, number = (await server.command("HGET", ROOM, "")).split(" ")
        version, value = f"{epoch} {int(number) + 1}", f"{time} dead {{}}"
        await server.command("HSET", ROOM, "", version, "ghost", value)
        await server.command("PUBLISH", ROOM, f"1 {version} j ghost {value}")
        key = f"{BASE}node:{{dead}}:rooms"
        await server.command("SET", key, "of another")
        await server.command("ZADD", NODES, time, "dead")
        await one.until(lambda: Left("r", "ghost", "node_lost") in one.kept.applied, within=15)
        assert one.backend.ready
        assert len(lines(caplog, key)) == 1


# The other keys, one at a time


async def _joins(one: Site, two: Site) -> None:
    for room in ("r", "another"):
        member = await one.join("new", room)
        assert member in await two.backend.roster(room)


async def _kick_is_unavailable(_one: Site, two: Site) -> None:
    await refused(two.backend.kick("a"), "a kick")


async def _tell_is_unavailable(_one: Site, two: Site) -> None:
    await refused(two.backend.tell("7", "text"), "an event")


async def _rooms_are_listed_again(one: Site, two: Site) -> None:
    assert "r" in await two.backend.rooms()
    assert one.backend.ready


KEYS: dict[str, tuple[Callable[[Site], str], Callable[[Site, Site], Awaitable[None]]]] = {
    "a peer's": (lambda _: f"{BASE}peer:{{a}}", _kick_is_unavailable),
    "a user's": (lambda _: f"{BASE}user:{{7}}", _tell_is_unavailable),
    "a node's rooms": (lambda one: f"{BASE}node:{{{one.backend.node_id}}}:rooms", _rooms_are_listed_again),
}


@pytest.mark.promise(
    "Many nodes",
    "A key of ours that holds something else is named in one line; nodes stay ready for everything else, "
    "and each beat tries a few such keys again",
)
@pytest.mark.parametrize("how", OTHER_TYPES.values(), ids=OTHER_TYPES)
@pytest.mark.parametrize(("named", "concerned"), KEYS.values(), ids=KEYS)
async def test_a_key_of_another_type_concerns_what_it_is_for(
    named: Callable[[Site], str],
    concerned: Callable[[Site, Site], Awaitable[None]],
    how: tuple[str | int, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        one.backend.present("a", "7")
        await one.backend.roster("r")  # what was posted before has been carried out
        key = named(one)
        await write(server, key, how)
        await hiccup(server, one, two)
        await concerned(one, two)
        await _joins(one, two)
        await hiccup(server, one, two)
        assert one.backend.ready
        assert two.backend.ready
        said = [each for each in lines(caplog, key) if f"{key!r}" in each]
        assert 1 <= len(said) <= 2, caplog.text  # by each node that it concerns
        for _ in range(30):
            one.backend.absent("a", "7")
            one.backend.present("a", "7")
        one.backend.absent("a", "7")
        await one.backend.roster("r")
        assert len(one.backend._directory._owed) == 0, "it grows with whoever comes and goes"


@pytest.mark.promise(
    "Many nodes",
    "A key of ours that holds something else is named in one line; nodes stay ready for everything else, "
    "and each beat tries a few such keys again",
)
@pytest.mark.parametrize("key", [NODES, f"{NODES}:generation"])
async def test_a_key_that_concerns_all_is_named_and_the_nodes_come_back_when_it_is_gone(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair() as (server, (one, two)):
        a, b = await one.join("a"), await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        await write(server, key, ("RPUSH", "of another"))
        await asyncio.gather(away(one), away(two))
        await eventually(lambda: caplog.text, lambda text: text.count(f"STRANGE {key} holds") >= 2)
        for site in (one, two):
            await refused(site.join("c"), "a joining")
        await server.command("DEL", key)
        await asyncio.gather(ready(one), ready(two))
        assert one.kept.applied == [Joined(a), Joined(b)]
        assert one.kept.fences == two.kept.fences == 0
        said = [each for each in caplog.messages if "STRANGE" in each]
        assert len(said) == 2, said


@pytest.mark.promise(
    "Many nodes",
    "A key of ours that holds something else is named in one line; nodes stay ready for everything else, "
    "and each beat tries a few such keys again",
)
async def test_thousands_of_strange_rooms_are_tried_again_a_few_with_each_beat() -> None:
    count = 1200
    async with pair(1) as (server, (one,)):
        rooms = [f"r{number}" for number in range(count)]
        for start in range(0, count, 100):
            await asyncio.gather(*(one.join("a", room) for room in rooms[start : start + 100]))
        script = "for i = 0, ARGV[1] - 1 do redis.call('SET', ARGV[2] .. i .. '}', 'of another') end"
        await server.command("EVAL", script, 0, count, f"{BASE}room:{{r")
        await hiccup(server, one)
        incarnation = one.backend._incarnation
        await server.command("CONFIG", "RESETSTAT")
        before = incarnation.heard
        await eventually(lambda: incarnation.heard, lambda beat: beat >= before + 3)
        calls = (await server.command("INFO", "commandstats"))["cmdstat_evalsha"]["calls"]
        assert calls < 5 * (count // 60 + 3), "more than a share of them with each beat"
        assert one.backend.ready
