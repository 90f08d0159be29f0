"""What breaks between a node and Redis while changes are under way: nobody is lost, and nobody stays behind."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import TypeVar

import hiredis
import pytest

from backends.pairs import ROOM, Site, away, frame, pair, ready
from support.redis import RedisServer, redis_server
from support.sites import KeptSite
from support.waiting import becomes, eventually
from walkie_signal.backends.base import Backend
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.backends.shared.messages import Signal
from walkie_signal.core.changes import Joined, Left, Member
from walkie_signal.errors import SignalingError

T = TypeVar("T")


async def here(server: RedisServer) -> set[str]:
    """Return the members that Redis has in the room."""
    return set(await server.command("HKEYS", ROOM)) - {""}


@pytest.mark.promise(
    "Many nodes",
    "Work that is under way when a connection, a generation or a right is lost is neither lost nor done "
    "twice",
)
@pytest.mark.parametrize("changes", [True, False])
async def test_what_is_under_way_outlives_a_healing(changes: bool) -> None:  # noqa: FBT001
    """A room may be healed at any moment of a joining or of a new announcement, be it a change or none."""
    async with pair(1) as (_, (one,)):
        await one.join("a")
        for number in range(60):
            role = f"role {number}" if changes else None
            again = Member("a", "r", role, None, one.backend.node_id)
            new = one.member(f"p{number}")
            joining = [asyncio.create_task(one.backend.join(each, 100)) for each in (again, new)]
            for _ in range(number % 8):
                await asyncio.sleep(0)
            one.backend._healing.heal("r")
            await asyncio.gather(*joining)
            roster = await one.backend.roster("r")
            assert roster[0] == again
            assert roster[-1] == new
        assert [change for change in one.kept.applied if isinstance(change, Left)] == []


@pytest.mark.parametrize("change", ["join", "leave"])
async def test_a_change_right_after_the_store_has_forgotten_all_loses_nobody(change: str) -> None:
    """The nodes find out at their next beat; a change that comes before makes them read the room."""
    async with pair() as (server, (one, two)):
        for site, name in ((one, "a"), (two, "b")):
            for number in (1, 2):
                await site.join(f"{name}{number}")
        for site in (one, two):
            await site.until(lambda site=site: len(site.kept.applied) == 4)
        await server.command("FLUSHALL")
        if change == "join":
            with suppress(SignalingError):
                await one.join("c")
        else:
            await one.backend.leave("r", "a2", "left")
        stay = {"a1", "b1", "b2", *(["a2"] if change == "join" else [])}
        await eventually(lambda: here(server), lambda found: stay <= found)
        for site in (one, two):
            gone = {each.peer_id for each in site.kept.applied if isinstance(each, Left)}
            assert not gone & stay, site.kept.applied


async def test_a_joining_that_finds_its_room_emptied_takes_nobody_out() -> None:
    """Somebody has removed the room's key, and the node reads the room with a joining before it heals it."""
    async with pair(1) as (server, (one,)):
        a = await one.join("a")
        await server.command("DEL", ROOM)
        one.backend._followed.get("r")._replica.doubt()  # a change is missing
        b = await one.join("b")
        await eventually(lambda: here(server), lambda found: found == {"a", "b"})
        assert set(one.kept.applied) == {Joined(a), Joined(b)}


@pytest.mark.promise(
    "Many nodes",
    "Work that is under way when a connection, a generation or a right is lost is neither lost nor done "
    "twice",
)
async def test_a_leave_that_redis_refuses_is_made_up_for() -> None:
    async with pair() as (server, (one, two)):
        a, b = await one.join("a"), await two.join("b")
        await two.until(lambda: len(two.kept.applied) == 2)
        await server.command("CONFIG", "SET", "min-replicas-to-write", 1)
        await one.backend.leave("r", "a", "left")
        stored = await server.command("HGETALL", ROOM)
        rooms = one.backend._followed
        rooms.get("r")._replica.doubt()  # somebody else joins meanwhile, and reads the room
        flat = [text.encode() for field in stored.items() for text in field]
        rooms.adopt(rooms.get("r"), one.backend._store.rooms._roster("r", flat))
        assert [each for each in one.kept.applied if each.room == "r"][-1] == Left("r", "a", "left")
        with pytest.raises(SignalingError) as caught:
            await one.join("c")
        assert caught.value.code == "unavailable"
        await away(one)
        await server.command("CONFIG", "SET", "min-replicas-to-write", 0)
        await two.until(lambda: any(isinstance(each, Left) for each in two.kept.applied))
        assert [each for each in two.kept.applied if isinstance(each, Joined)] == [Joined(a), Joined(b)]
        assert list(await two.backend.roster("r")) == [b]


async def test_a_leave_that_is_made_up_for_does_not_undo_the_next_joining() -> None:
    async with pair(1) as (server, (one,)):
        a = await one.join("a")
        await one.join("b")
        await server.command("CONFIG", "SET", "min-replicas-to-write", 1)
        await one.backend.leave("r", "a", "left")
        one.backend._followed.owed["r", "a"] = (one.backend.node_id, "left")
        await server.command("CONFIG", "SET", "min-replicas-to-write", 0)
        await one.join("a")
        one.backend._healing.pay_soon()
        await one.join("c")
        assert a in await one.backend.roster("r")


async def test_a_node_that_is_fenced_during_a_joining_answers_unavailable() -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        await two.join("b")
        server.stop()
        joinings = [asyncio.create_task(one.join(peer)) for peer in ("a", "c")]
        await asyncio.sleep(0.01)
        one.backend._fence()
        server.cont()
        for each in await asyncio.gather(*joinings, return_exceptions=True):
            assert isinstance(each, SignalingError), repr(each)
            assert each.code == "unavailable"
        await ready(one)
        await two.until(lambda: Left("r", "a", "node_lost") in two.kept.applied)
        c = await one.join("c")
        assert {each.peer_id for each in await two.backend.roster("r")} == {"b", "c"}
        await two.until(lambda: Joined(c) in two.kept.applied)


async def test_a_node_that_goes_on_as_another_brings_nobody_back_to_a_store_that_is_empty() -> None:
    """What is missing in such a store is held for those who write it back; for its own members nobody does."""
    async with pair() as (server, (one, two)):
        await one.join("a")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        await server.kill()
        await asyncio.gather(*(away(site) for site in (one, two)))
        one.backend._fence()
        await server.restart()
        await ready(one)
        c = await one.join("c")
        changes = one.kept.applied
        assert Left("r", "a", "disconnected") in changes[: changes.index(Joined(c))], changes


async def test_databases_of_one_server_do_not_hear_one_another() -> None:
    """Channels know no databases: those of another service need other names."""
    async with redis_server() as server:
        one, two = sites = Site(server.url), Site(server.url.removesuffix("/0") + "/1")
        await asyncio.gather(*(site.backend.start(site.kept) for site in sites))
        try:
            a = await one.join("a")
            await one.backend.leave("r", "a", "left")
            b = await two.join("b")
            c = await one.join("c")
            assert one.kept.applied == [Joined(a), Left("r", "a", "left"), Joined(c)]
            assert two.kept.applied == [Joined(b)]
            assert all(key.startswith("walkie-signal:") for key in await server.keys())
        finally:
            await asyncio.gather(*(site.backend.close() for site in sites))


async def test_a_start_right_after_a_close_stays_connected() -> None:
    async with pair(1) as (_, (one,)):
        heart = one.backend._heart
        assert heart is not None
        await heart._beat()
        await one.backend.close()
        await one.backend.start(one.kept)
        await ready(one)
        with pytest.raises(AssertionError, match=r"within 1\.5 s"):
            await away(one, within=1.5)


@pytest.mark.promise(
    "Many nodes",
    "Under `gunicorn --preload` each worker is a node of its own; a backend is a new node at each start "
    "and on each loop",
)
@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_backend_is_a_new_node_on_each_loop_that_it_is_started_on(kind: str) -> None:
    """A host's tests have one loop each, and a server may fork when the app is made."""
    async with redis_server() as server:
        backend: Backend = MemoryBackend() if kind == "memory" else RedisBackend(server.url)
        ids = [backend.node_id]

        async def live() -> None:
            site = KeptSite()
            await backend.start(site)
            ids.append(backend.node_id)
            try:
                member = Member("a", "r", None, None, backend.node_id)
                await backend.join(member, 10)
                assert site.applied == [Joined(member)]
                assert backend.ready
            finally:
                await backend.close()

        for _ in range(2):
            await asyncio.to_thread(asyncio.run, live())
    assert ids[0] == ""
    assert len(set(ids)) == 3


async def test_what_a_node_takes_with_it_when_it_closes_is_not_told_twice() -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        await two.join("b")
        await server.command("CONFIG", "SET", "min-replicas-to-write", 1)
        await one.backend.leave("r", "a", "left")
        await server.command("CONFIG", "SET", "min-replicas-to-write", 0)
        await one.backend.close()
        assert one.kept.removed == []
        assert ROOM in await server.keys()


async def test_a_server_that_falls_silent_while_a_node_connects_is_given_up() -> None:
    accepted = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = hiredis.Reader()
        accepted.release()
        while data := await reader.read(1 << 16):
            requests.feed(data)
            while (request := requests.gets()) is not False:
                if request[0] == b"CLIENT" and request[1] in (b"SETNAME", b"ID"):
                    writer.write(b":1\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    site = Site(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    try:
        await site.backend.start(site.kept)
        for _ in range(4):
            await asyncio.wait_for(accepted.acquire(), 5)
    finally:
        await site.backend.close()
        server.close()
        await server.wait_closed()


async def test_a_channel_that_is_refused_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with redis_server() as server:
        await server.command(
            "ACL", "SETUSER", "node", "on", ">secret", "allcommands", "allkeys", "resetchannels"
        )
        site = Site(server.url.replace("redis://", "redis://node:secret@"))
        await site.backend.start(site.kept)
        try:
            assert not site.backend.ready
        finally:
            await site.backend.close()
    assert "it refuses PUBLISH, which a node needs: " in caplog.text
    assert "channel" in caplog.text
    assert "secret" not in caplog.text


async def test_signals_that_wait_for_a_second_joining_do_not_wait_for_ever() -> None:
    async with pair() as (server, (one, two)):
        await one.join("a")
        node = two.backend.node_id
        mail = one.backend._mail
        for number, since in ((1, 77), (2, 99)):
            mail._take(Signal(node, number, "a", "b", since, "r", frame(f"signal {number}")))
        epoch, number = (await server.command("HGET", ROOM, "")).split(" ")
        value = f"77 {node} {{}}"
        await server.command("HSET", ROOM, "", f"{epoch} {int(number) + 1}", "b", value)
        await server.command("PUBLISH", ROOM, f"1 {epoch} {int(number) + 1} j b {value}")
        await one.until(lambda: one.kept.handed_over == [("a", frame("signal 1"))])

        await becomes(lambda: len(mail._early), 0)


async def test_a_member_that_cannot_be_read_keeps_no_node_from_its_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Somebody else has written into it."""
    async with pair() as (server, (one, two)):
        a = await one.join("a")
        for name, value in (("x", "rubbish"), ("y", "1 n []"), ("z", b"1 n \xff")):
            await server.command("HSET", ROOM, name, value)
        b = await two.join("b")
        assert two.kept.applied == [Joined(a), Joined(b)]
        await server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.gather(away(one), away(two))
        await asyncio.gather(ready(one), ready(two))
        assert list(await one.backend.roster("r")) == [a, b]
        assert "room 'r': 3 members can't be read" in caplog.text


async def test_a_restore_that_is_cut_short_while_it_subscribes_leaves_no_fault_behind() -> None:
    """asyncio would log one of a gathering that nobody has looked at."""
    async with pair(1) as (_, (one,)):
        await one.join("a")
        restoring = asyncio.create_task(one.backend._healing.restore(writes_back=False))
        for _ in range(2):  # it begins, and then waits for the confirmation
            await asyncio.sleep(0)
        assert not one.backend._followed.get("r").heard.done()
        restoring.cancel()
        await asyncio.wait([restoring])
        assert restoring.cancelled()
        del restoring  # its traceback holds what was waited for
        gc.collect()
