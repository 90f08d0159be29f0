"""What goes wrong between nodes on one Redis, each case by itself; `tests/cluster` has real nodes and peers."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from backends.pairs import NODES, ROOM, Site, away, frame, pair, ready
from support.redis import RedisServer
from walkie_signal.backends.shared import format as formats
from walkie_signal.backends.shared.messages import Signal, write_signal
from walkie_signal.bounded_log import MOST
from walkie_signal.core.changes import Joined, Left, Member
from walkie_signal.errors import SignalingError


async def connections(server: RedisServer) -> list[tuple[str, str]]:
    """Return the id and the name of each connection to a server."""
    lines: str = await server.command("CLIENT", "LIST")
    return re.findall(r"^id=(\d+) .*? name=(\S*) ", lines, re.MULTILINE)


async def intrude(server: RedisServer, peer_id: str, value: str, *, published: bool = True) -> None:
    """Write a member into the room as another node does; where it is not published, nobody here hears of it."""
    epoch, number = (await server.command("HGET", ROOM, "")).split(" ")
    version = f"{epoch} {int(number) + 1}"
    await server.command("HSET", ROOM, "", version, peer_id, value)
    if published:
        await server.command("PUBLISH", ROOM, f"1 {version} j {peer_id} {value}")


async def test_two_nodes_see_one_order() -> None:
    async with pair() as (_, (one, two)):
        await asyncio.gather(
            *(site.join(f"{name}{number}") for number in range(50) for name, site in (("a", one), ("b", two)))
        )
        for site in (one, two):
            await site.until(lambda site=site: len(site.kept.applied) == 100)
        assert one.kept.applied == two.kept.applied
        assert list(await one.backend.roster("r")) == list(await two.backend.roster("r"))


async def test_a_node_without_members_hears_nothing_of_a_room() -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        assert await server.command("PUBSUB", "NUMSUB", ROOM) == [ROOM, 1]
        assert two.kept.applied == []


@pytest.mark.promise(
    "Many nodes",
    "When Redis comes back empty, rosters are right within 10 s; peers that left are announced, peers that "
    "live are not",
)
async def test_a_store_that_forgets_all_loses_nobody() -> None:
    """Trap 1: healing by difference alone would announce everybody gone."""
    async with pair() as (server, (one, two)):
        a, b = await one.join("a"), await two.join("b")
        await one.until(lambda: len(one.kept.applied) == 2)
        await server.command("FLUSHALL")
        for site in (one, two):
            await away(site)
        for site in (one, two):
            await ready(site)
        roster = await one.backend.roster("r")
        assert sorted(roster, key=lambda member: member.peer_id) == [a, b]
        assert one.kept.applied == [Joined(a), Joined(b)]
        assert two.kept.applied == [Joined(a), Joined(b)]


async def test_who_left_while_the_store_was_away_is_told_when_it_is_back() -> None:
    async with pair() as (server, (one, two)):
        a, b = await one.join("a"), await two.join("b")
        await one.until(lambda: len(one.kept.applied) == 2)
        await server.kill()
        await away(one)
        await away(two)
        with pytest.raises(SignalingError) as caught:
            await one.join("c")
        assert caught.value.code == "unavailable"
        await one.backend.leave("r", "a", "timeout")
        assert one.kept.applied[2:] == [Left("r", "a", "timeout")]
        await server.restart()
        await two.until(lambda: Left("r", "a", "disconnected") in two.kept.applied, within=10)
        assert two.kept.applied == [Joined(a), Joined(b), Left("r", "a", "disconnected")]
        assert list(await two.backend.roster("r")) == [b]


async def test_a_first_member_and_another_nodes_joiner_miss_nothing() -> None:
    """Trap 4: the channel is heard before the roster is read."""
    async with pair() as (_, (one, two)):
        for number in range(30):
            room = f"r{number}"
            members = await asyncio.gather(one.join("a", room), two.join("b", room))
            for site in (one, two):
                await site.until(lambda site=site, members=members: len(site.kept.applied) == 2)
                here = {change.member for change in site.kept.applied if isinstance(change, Joined)}
                assert here == set(members)
                site.kept.applied.clear()


async def test_a_last_change_that_never_came_is_found() -> None:
    """Trap 4: it leaves no gap for a next one to show."""
    async with pair() as (server, (one, _)):
        await one.join("a")
        await intrude(server, "x", "77 elsewhere {}", published=False)
        stranger = Member("x", "r", None, None, "elsewhere")
        await one.until(lambda: Joined(stranger) in one.kept.applied)


@pytest.mark.promise(
    "Many nodes", "Signals between nodes keep their order, and never arrive before their sender is known"
)
async def test_a_signal_waits_for_the_joining_of_its_sender() -> None:
    """Trap 5: a room's channel and a node's own have no common order."""
    async with pair() as (server, (one, _)):
        await one.join("a")
        for number in (1, 2):
            signal = Signal("elsewhere", number, "a", "x", 77, "r", frame(f"signal {number}"))
            await server.command("PUBLISH", one.channel, write_signal(*signal))
        assert one.kept.handed_over == []
        await intrude(server, "x", "77 elsewhere {}")
        await one.until(lambda: len(one.kept.handed_over) == 2)
        assert one.kept.handed_over == [("a", frame("signal 1")), ("a", frame("signal 2"))]


@pytest.mark.parametrize(
    ("signal", "why"),
    [
        (Signal("elsewhere", 2, "a", "nobody", 77, "r", frame("text")), "it is of nobody in the room"),
        (Signal("another", 2, "a", "b", 0, "r", frame("text")), "it is not of its sender's node"),
        (Signal("elsewhere", 2, "nobody", "b", 0, "r", frame("text")), "it is for nobody in the room"),
        (Signal("elsewhere", 2, "a", "b", -1, "r", frame("text")), "it is from before the sender came back"),
        (Signal("elsewhere", 2, "a", "b", 0, "q", frame("text")), "it is of a room that is not followed"),
    ],
)
async def test_a_signal_that_can_not_be_is_dropped(signal: Signal, why: str) -> None:
    """Trap 5: that fences a node which was frozen, too."""
    async with pair() as (server, (one, two)):
        await one.join("a")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        since = int((await server.command("HGET", ROOM, "b")).split(" ")[0])
        true = signal._replace(
            node=two.backend.node_id if signal.node == "elsewhere" else signal.node,
            since=since + signal.since if signal.from_id == "b" else signal.since,
        )
        await server.command("PUBLISH", one.channel, write_signal(*true))
        two.backend.relay(one.member("a"), "b", frame("last"), lambda _: None)
        await one.until(lambda: bool(one.kept.handed_over))
        assert one.kept.handed_over == [("a", frame("last"))], why


@pytest.mark.promise("Many nodes", "A signal that can't be passed to its node is answered `unavailable`")
async def test_a_signal_to_a_node_that_is_gone_is_not_lost_in_silence() -> None:
    """Trap 6: Redis tells how many have heard."""
    async with pair() as (_, (one, two)):
        await one.join("a")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        answer = asyncio.get_running_loop().create_future()
        one.backend.relay(b, "a", frame("text"), answer.set_result)
        assert await answer is True
        answer = asyncio.get_running_loop().create_future()
        one.backend.relay(Member("b", "r", None, None, "gone"), "a", frame("text"), answer.set_result)
        assert await answer is False


async def test_signals_that_are_missing_are_counted_and_the_rooms_read_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pair() as (server, (one, _)):
        await one.join("a")
        await intrude(server, "x", "77 elsewhere {}", published=False)
        for number in (1, 5):
            signal = Signal("elsewhere", number, "a", "x", 77, "r", frame(f"{number}"))
            await server.command("PUBLISH", one.channel, write_signal(*signal))
        await one.until(lambda: len(one.kept.handed_over) == 2, within=2)
    assert "3 messages from another node were lost" in caplog.text


@pytest.mark.parametrize("part", ["listens", "asks"])
async def test_a_connection_that_is_cut_is_mended(part: str) -> None:
    """Trap 7."""
    async with pair() as (server, (one, two)):
        await one.join("a")
        numbers = [number for number, name in await connections(server) if f"-{part}-" in name]
        assert len(numbers) == 2
        for number in numbers:
            await server.command("CLIENT", "KILL", "ID", number)
        for site in (one, two):
            await away(site)
        for site in (one, two):
            await ready(site, within=3)
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied, within=3)
        for site in (one, two):
            assert await server.command("PUBSUB", "NUMSUB", site.channel) == [site.channel, 1]
        assert len([name for _, name in await connections(server) if name]) == 4


async def test_a_node_that_hears_nothing_connects_anew() -> None:
    """Trap 7: its subscription is gone, and no connection tells of it."""
    async with pair(1) as (server, (one,)):
        await one.join("a")
        listening = one.backend._uplink.listening
        assert listening is not None
        listening.unsubscribe(one.channel)
        await away(one, within=3)
        await ready(one, within=3)
        assert await server.command("PUBSUB", "NUMSUB", one.channel) == [one.channel, 1]
        assert one.kept.applied == [Joined(one.member("a"))]


@pytest.mark.promise("Many nodes", "Redis never fills up: each key belongs to a living node, or expires")
async def test_what_nodes_that_died_together_left_is_swept_by_the_next() -> None:
    """Trap 8."""
    async with pair(0) as (server, _):
        time = "1000000000000000"
        await server.command("ZADD", NODES, time, "dead")
        await server.command("SET", f"{NODES}:generation", "1:earlier")
        await server.command("SADD", "walkie-signal:/:node:{dead}:rooms", "r", "never joined")
        await server.command("HSET", ROOM, "", f"{time} 1", "ghost", f"{time} dead {{}}")
        site = Site(server.url)
        await site.backend.start(site.kept)
        try:
            a = await site.join("a")
            ghost = Member("ghost", "r", None, None, "dead")
            await site.until(lambda: Left("r", "ghost", "node_lost") in site.kept.applied, within=15)
            assert site.kept.applied == [Joined(ghost), Joined(a), Left("r", "ghost", "node_lost")]
            assert site.kept.removed == [ghost]
        finally:
            await site.backend.close()
        assert await server.keys() == []


@pytest.mark.promise(
    "Many nodes",
    "When a node dies, its peers are gone from every roster within 15 s, with one `node_lost` for each and "
    "no ghost",
)
async def test_one_node_alone_removes_a_dead_one() -> None:
    async with pair() as (server, sites):
        for number, site in enumerate(sites):
            await site.join(f"{number}")
        time = "1000000000000000"
        await server.command("SADD", "walkie-signal:/:node:{dead}:rooms", "r")
        await intrude(server, "ghost", f'{time} dead {{"userId":7}}')
        await server.command("HSET", ROOM, "rubbish", "1 dead []")  # keeps nobody from being removed
        directory = ["walkie-signal:/:peer:{ghost}", "walkie-signal:/:user:{7}"]
        for key in directory:
            await server.command("HSET", key, "ghost", "dead")
        await server.command("HSET", directory[1], "lives", "another")
        await server.command("ZADD", NODES, time, "dead")
        gone = Left("r", "ghost", "node_lost")
        for site in sites:
            await site.until(lambda site=site: gone in site.kept.applied, within=15)
            assert site.kept.applied.count(gone) == 1
        assert sum(len(site.kept.removed) for site in sites) == 1
        for site in sites:
            await site.backend.roster("r")  # what it had posted before has been carried out
        assert [await server.command("HKEYS", key) for key in directory] == [[], ["lives"]]


@pytest.mark.promise(
    "Many nodes", "Nodes of two neighbouring releases work together; data of an unknown release is left alone"
)
async def test_a_message_of_the_next_release_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 9: it reads this format, may add to it, and writes its own one release later."""
    async with pair() as (server, (one, two)):
        await one.join("a")
        await intrude(server, "x", f'77 {two.backend.node_id} {{"role":"lead","since":"a later release"}}')
        later = Member("x", "r", "lead", None, two.backend.node_id)
        await one.until(lambda: Joined(later) in one.kept.applied)
        await server.command("PUBLISH", one.channel, "1 z of a kind that comes later")
        epoch, number = (await server.command("HGET", ROOM, "")).split(" ")
        later_version = f"{epoch} {int(number) + 1}"
        await server.command("HSET", ROOM, "", later_version)
        await server.command("PUBLISH", ROOM, f"1 {later_version} z of a kind that comes later")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        assert one.backend.ready


async def test_a_format_that_is_unknown_is_refused_with_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        for _ in range(2 * MOST):
            await server.command("PUBLISH", one.channel, "7 s whatever")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
    lines = [each for each in caplog.records if "another node can't be read" in each.getMessage()]
    assert len(lines) == MOST
    assert formats.WRITES in formats.READS


@pytest.mark.promise(
    "Many nodes", "Nodes of two neighbouring releases work together; data of an unknown release is left alone"
)
async def test_what_another_release_has_written_is_not_touched(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(0) as (server, _):
        await server.command("SET", f"{NODES}:generation", "7:later")
        site = Site(server.url)
        with caplog.at_level(logging.WARNING):
            await site.backend.start(site.kept)
        try:
            assert not site.backend.ready
            with pytest.raises(SignalingError) as caught:
                await site.join("a")
            assert caught.value.code == "unavailable"
        finally:
            await site.backend.close()
    assert "a release that this one does not know" in caplog.text


@pytest.mark.promise(
    "Many nodes", "Nodes of two neighbouring releases work together; data of an unknown release is left alone"
)
async def test_a_node_is_not_ready_while_redis_holds_what_another_release_has_written() -> None:
    """The other release may have come when this node was there already."""
    async with pair(1) as (server, (one,)):
        a = await one.join("a")
        await server.command("SET", f"{NODES}:generation", "7:later")
        await away(one)
        await server.command("DEL", f"{NODES}:generation")
        await ready(one)
        assert list(await one.backend.roster("r")) == [a]
