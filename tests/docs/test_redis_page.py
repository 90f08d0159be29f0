"""What the page on Redis tells whoever is on call is what a real server shows."""

from __future__ import annotations

import asyncio
import operator
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from backends.pairs import NODES, ROOM, Site, away, pair, ready
from docs.pages import PAGES
from support.certificates import certificate
from support.cut import cut
from support.redis import redis_server
from support.servers import free_port
from support.waiting import eventually
from walkie_signal.backends.redis.address import OPTIONS
from walkie_signal.core.changes import Joined, Left

PAGE = PAGES["docs/redis.md"]
BASE = "walkie-signal:/:"


@asynccontextmanager
async def sites(*urls: str) -> AsyncIterator[list[Site]]:
    """Run a node for each URL."""
    started = [Site(url) for url in urls]
    await asyncio.gather(*(site.backend.start(site.kept) for site in started))
    try:
        yield started
    finally:
        await asyncio.gather(*(site.backend.close() for site in started))


# What Redis holds


def patterns(*heads: str) -> dict[str, list[str]]:
    """Return the rows of a table of names, each by a pattern of its first cell."""
    found = {}
    for cells in PAGE.table(*heads):
        for name in re.findall(r"`([^`]+)`", cells[0]):
            found[re.sub(r"\b[A-Z]+\b", ".+", re.escape(f"{BASE}{name}"))] = cells
    return found


async def test_these_are_the_keys_their_types_and_channels() -> None:
    async with pair() as (server, (one, two)):
        for site, peer_id in ((one, "a"), (two, "b")):
            await site.join(peer_id)
            site.backend.present(peer_id, "7")
        assert await one.backend.swap("r", "floor", 0, "text") == "swapped"
        await asyncio.gather(*(_beaten(site) for site in (one, two)))
        await server.command("SADD", f"{BASE}node:{{dead}}:rooms", "r")
        await server.command("ZADD", NODES, "1000000000000000", "dead")
        claim = f"{BASE}{{nodes}}:claim:dead"
        await server.command("SET", claim, "of another", "PX", 5000)  # so that nobody is quicker than we look
        types = {key: await server.command("TYPE", key) for key in await server.keys()}
        documented = patterns("Name", "Type")
        for key, kind in types.items():
            (row,) = [row for name, row in documented.items() if re.fullmatch(name, key)]
            assert kind == row[1].replace("sorted set", "zset"), key
            if "{dead}" not in key:
                assert 0 < await server.command("PTTL", key) <= 3_600_000, key
        assert all(any(re.fullmatch(name, key) for key in types) for name in documented), types
        channels = await server.command("PUBSUB", "CHANNELS")
        assert {name for name in patterns("Channel") for each in channels if re.fullmatch(name, each)} == set(
            patterns("Channel")
        )
        assert len(channels) == 3


async def _beaten(site: Site) -> None:
    """Wait for the next beat, which gives what was new an expiry."""
    incarnation = site.backend._incarnation
    before = incarnation.heard
    await eventually(lambda: incarnation.heard, lambda heard: heard >= before + 2)


async def test_sizes_are_about_what_they_are() -> None:
    async with pair(1) as (server, (one,)):
        sizes = {}
        for number in range(100):
            member = replace(one.member(f"{number:020}"), role="guard", user_id=f"u-{number}")
            await one.backend.join(member, 1000)
            sizes[number + 1] = await server.command("MEMORY", "USAGE", ROOM, "SAMPLES", 0)
        (size,) = [row[3] for row in PAGE.table("Name", "Type") if row[0] == "`room:{ROOM}`"]
        assert "360 bytes with 1 member, 15 KB with 100" in size
        assert sizes[1] < 2 * 360
        assert sizes[100] < 2 * 15_000


async def test_each_command_to_look_by_has_an_answer() -> None:
    async with pair() as (server, (one, _)):
        await one.join("a", "north")
        one.backend.present("a", "u-7")
        await one.backend.roster("north")  # what was posted before has been carried out
        for _, cell in PAGE.table("You want to know", "Ask"):
            command = shlex.split(cell.strip("`").replace("NODE", one.backend.node_id))
            assert command.pop(0) == "redis-cli"
            answer = await server.command(*command)
            assert answer or command == ["acl", "log"], command
            if "numsub" in command:
                assert answer[1] == 1


async def test_a_room_s_key_that_is_removed_comes_back_in_a_minute() -> None:
    """That is what makes it a bad idea: until then a room looks empty to whoever joins."""
    async with pair() as (server, (one, two)):
        await one.join("a")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        await server.command("DEL", ROOM)
        await asyncio.gather(*(site.backend._healing.check("r") for site in (one, two)))
        applied = one.kept.applied + two.kept.applied
        assert not [each for each in applied if isinstance(each, Left)]
        # Whichever reads it first finds its own members only
        await eventually(
            lambda: one.kept.applied + two.kept.applied,
            lambda applied: any(isinstance(each, Left) for each in applied),
        )
        for site in (one, two):
            await site.until(lambda site=site: [*map(type, site.kept.applied[2:])] in ([], [Left, Joined]))
        assert len(await two.backend.roster("r")) == 2


# The URL


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    url = f"unix://{path}?db=0"
    async with redis_server(None, "--unixsocket", str(path)), sites(url, url) as (one, two):
        a = await one.join("a")
        await two.join("b")
        assert a in await two.backend.roster("r")


async def test_tls_verifies_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    certfile, keyfile = map(str, certificate(tmp_path))
    port = free_port()
    files = ("--tls-cert-file", certfile, "--tls-key-file", keyfile, "--tls-ca-cert-file", certfile)
    bound = ("--bind", "127.0.0.1", "127.0.0.2")
    async with redis_server(None, *bound, "--tls-port", str(port), "--tls-auth-clients", "no", *files):
        url = f"rediss://127.0.0.1:{port}/0"
        async with sites(f"{url}?ssl_ca_certs={certfile}", url) as (trusts, does_not):
            assert trusts.backend.ready
            await trusts.join("a")
            assert not does_not.backend.ready
        assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
        other = f"rediss://127.0.0.2:{port}/0?ssl_ca_certs={certfile}"  # the certificate is for 127.0.0.1
        async with sites(f"{other}&ssl_check_hostname=false", other) as (does_not_look, looks):
            assert does_not_look.backend.ready
            assert not looks.backend.ready
        assert "IP address mismatch" in caplog.text


async def test_the_line_says_that_the_server_wants_a_certificate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certfile, keyfile = map(str, certificate(tmp_path))
    port = free_port()
    files = ("--tls-cert-file", certfile, "--tls-key-file", keyfile, "--tls-ca-cert-file", certfile)
    async with (
        redis_server(None, "--tls-port", str(port), *files),
        sites(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certfile}") as (site,),
    ):
        assert not site.backend.ready
    assert "certificate required" in caplog.text


@pytest.mark.promise(
    "Many nodes",
    "What a URL of Redis asks for is done, or refused at the start, with nothing of the password",
)
def test_these_are_all_options_of_the_url() -> None:
    rows = PAGE.table("Option", "Value")
    documented = [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]
    assert sorted(documented) == sorted(OPTIONS)


# When it refuses to write


@pytest.mark.parametrize(
    ("refuses", "takes", "word"),
    [
        (("CONFIG", "SET", "maxmemory", "1mb"), ("CONFIG", "SET", "maxmemory", "0"), "OOM"),
        (
            ("CONFIG", "SET", "min-replicas-to-write", "1"),
            ("CONFIG", "SET", "min-replicas-to-write", "0"),
            "NOREPLICAS",
        ),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "READONLY"),
    ],
    ids=["full", "no replicas", "a replica"],
)
async def test_a_redis_that_refuses_to_write_is_away(
    refuses: tuple[str, ...], takes: tuple[str, ...], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair() as (server, (one, two)):
        a = await one.join("a")
        b = await two.join("b")
        await one.until(lambda: Joined(b) in one.kept.applied)
        await server.command(*refuses)
        await asyncio.gather(*(away(site, 3) for site in (one, two)))
        await server.command(*takes)
        await asyncio.gather(*(ready(site) for site in (one, two)))
        for site in (one, two):
            assert site.kept.applied == [Joined(a), Joined(b)]
        assert word in caplog.text
        assert any(f"`{word}`" in row[0] for row in PAGE.table("The line says", "Do"))


async def test_a_replica_takes_over(tmp_path: Path) -> None:
    """It has not heard of the last to join, and has not heard that another has left."""
    folders = [tmp_path / name for name in ("primary", "replica")]
    for folder in folders:
        folder.mkdir()
    async with (
        redis_server(None, "--dir", str(folders[0])) as primary,
        redis_server(None, "--dir", str(folders[1])) as replica,
        cut(primary.port) as proxy,
        sites(*[f"redis://127.0.0.1:{proxy.port}/0"] * 2) as (one, two),
    ):
        await one.join("a")
        await two.join("b")
        await one.join("leaves")
        await replica.command("REPLICAOF", "127.0.0.1", primary.port)
        await eventually(lambda: replica.command("HLEN", ROOM), lambda length: length == 4)
        replica.stop()
        await one.join("comes")
        await one.backend.leave("r", "leaves", "left")
        await two.until(lambda: Left("r", "leaves", "left") in two.kept.applied)
        before = [list(site.kept.applied) for site in (one, two)]
        proxy.target = ("127.0.0.1", replica.port)
        await primary.kill()
        replica.cont()
        await asyncio.gather(*(away(site) for site in (one, two)))
        await replica.command("REPLICAOF", "NO", "ONE")
        await asyncio.gather(*(ready(site) for site in (one, two)))
        members = await one.backend.roster("r")
        assert {each.peer_id for each in members} == {"a", "b", "comes"}
        new = await two.join("new")
        for site, applied in zip((one, two), before, strict=True):
            await site.until(partial(operator.contains, site.kept.applied, Joined(new)))
            assert site.kept.applied[:-1] == applied, "nobody was announced for it"


@pytest.mark.promise(
    "Many nodes", "A Redis that goes back in time, as with a replica that lagged, makes no node look dead"
)
async def test_a_replica_that_lagged_behind_takes_over() -> None:
    """As it knows them, all nodes have been silent for longer than a lease, though they beat on elsewhere."""
    async with (
        redis_server() as primary,
        redis_server() as replica,
        cut(primary.port) as proxy,
        sites(*[f"redis://127.0.0.1:{proxy.port}/0"] * 2) as (one, two),
    ):
        await one.join("a")
        await two.join("b")
        for site in (one, two):
            await _beaten(site)
        for key in await primary.keys():
            await primary.command("MIGRATE", "127.0.0.1", replica.port, key, 0, 5000, "COPY")
        for site in (one, two):
            await replica.command("ZINCRBY", NODES, -20_000_000, site.backend.node_id)
            heart = site.backend._heart
            assert heart is not None
            heart._watch._steady_since -= 20  # as though they had beaten for as long
        proxy.target = ("127.0.0.1", replica.port)
        proxy.cut()
        await asyncio.gather(*(away(site) for site in (one, two)))
        await asyncio.gather(*(ready(site) for site in (one, two)))
        new = await two.join("new")
        for site in (one, two):
            await site.until(partial(operator.contains, site.kept.applied, Joined(new)))
            assert not [each for each in site.kept.applied if isinstance(each, Left)]
            assert site.kept.fences == 0


async def test_an_old_snapshot_is_worse_than_none(tmp_path: Path) -> None:
    async with (
        redis_server(None, "--dir", str(tmp_path)) as server,
        sites(server.url, server.url) as (one, _),
    ):
        await one.join("a")
        await server.command("SAVE")
        async with sites(server.url) as (later,):
            await later.join("b")
            await server.restart()
            await later.until(lambda: later.kept.fences == 1)
            await ready(later)
            assert one.kept.fences == 0


# The log


@pytest.mark.parametrize(
    ("store", "page", "called"),
    [("redis", "docs/redis.md", "Redis at …"), ("machine", "docs/scaling.md", "machine…")],
)
def test_each_line_about_a_store_is_explained(store: str, page: str, called: str) -> None:
    explained = {
        quoted
        for each in {"docs/redis.md", page}
        for row in PAGES[each].table("Line", "Means", "Do")
        for quoted in re.findall(r"`([^`]+)`", row[0].replace("Redis at …", called))
    }
    backends = Path(__file__).parents[2] / "walkie_signal/backends"
    logged = set()
    for path in [*(backends / "shared").rglob("*.py"), *(backends / store).rglob("*.py")]:
        logs = r'(?:log\.(?:info|warning|error|exception)\(\s*|\b(?:line|message) = )"([^"]+)"'
        found = re.findall(logs, path.read_text("utf-8"))
        logged |= {re.sub(r"%\w", "…", re.sub("^%s", called, each)) for each in found}
    assert len(logged) > 10
    assert logged <= explained
