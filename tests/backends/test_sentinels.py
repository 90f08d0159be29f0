"""Nodes that ask sentinels where the primary is: real ones, that move it while peers are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.pairs import Site, away, ready
from support.certificates import certificate
from support.redis import RedisServer, redis_server
from support.sentinels import SERVICE, Sentinel, follows, sentinel
from support.servers import free_port, serve
from walkie_signal.core.changes import Left

MOVED = 30.0
"""Seconds in which sentinels have made a replica the primary, and the nodes are ready."""


@dataclass
class Service:
    """Two servers, one a replica of the other, with three sentinels and two nodes."""

    primary: RedisServer
    replica: RedisServer
    sentinels: list[Sentinel]
    one: Site
    two: Site

    @property
    def url(self) -> str:
        return url_of(*self.sentinels)


def url_of(*sentinels: Sentinel, options: str = "") -> str:
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in sentinels)
    return f"redis+sentinel://{hosts}/{SERVICE}/0{options}"


@asynccontextmanager
async def site_of(url: str) -> AsyncIterator[Site]:
    site = Site(url)
    await site.backend.start(site.kept)
    try:
        yield site
    finally:
        await site.backend.close()


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        folders = [folder / name for name in ("primary", "replica")]
        for each in folders:
            each.mkdir()
        at_once = ("--repl-diskless-sync-delay", "0")
        primary = await stack.enter_async_context(redis_server(None, "--dir", str(folders[0]), *at_once))
        following = ("--replicaof", f"127.0.0.1 {primary.port}", "--dir", str(folders[1]), *at_once)
        replica = await stack.enter_async_context(redis_server(None, *following))
        sentinels = [await stack.enter_async_context(sentinel(folder, primary.port)) for _ in range(3)]
        await follows(replica)
        await asyncio.gather(*(each.knows(sentinels=2, replicas=1) for each in sentinels))
        one, two = [await stack.enter_async_context(site_of(url_of(*sentinels))) for _ in range(2)]
        yield Service(primary, replica, sentinels, one, two)


@pytest.mark.promise(
    "Many nodes",
    "Sentinels say where the primary is: if it is killed or moved, nobody loses a place; each sentinel's "
    "fault is named",
)
@pytest.mark.parametrize("how", ["the primary is killed", "an operator orders it"])
async def test_nodes_follow_a_failover_and_nobody_loses_a_place(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with service(tmp_path) as its:
        sites = (its.one, its.two)
        a, b = await its.one.join("a"), await its.two.join("b")
        assert f"connected to 127.0.0.1:{its.primary.port}, by the sentinel at 127.0.0.1:" in caplog.text
        if how == "the primary is killed":
            await its.primary.kill()
        else:
            await its.sentinels[0].command("SENTINEL", "FAILOVER", SERVICE)
        await asyncio.gather(*(away(site, MOVED) for site in sites))
        await asyncio.gather(*(ready(site, MOVED) for site in sites))
        assert await its.replica.command("EXISTS", "walkie-signal:/:room:{r}") == 1
        c = await its.two.join("c")
        assert set(await its.one.backend.roster("r")) == {a, b, c}
        for site in sites:
            assert not [each for each in site.kept.applied if isinstance(each, Left)]
            assert site.kept.fences == 0
        assert f"connected to 127.0.0.1:{its.replica.port}, by the sentinel at 127.0.0.1:" in caplog.text


@pytest.mark.promise(
    "Many nodes",
    "Sentinels say where the primary is: if it is killed or moved, nobody loses a place; each sentinel's "
    "fault is named",
)
async def test_of_sentinels_that_disagree_the_one_of_the_last_failover_is_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other was cut off then: it has not heard of it."""
    caplog.set_level("INFO")
    newer = f"sentinel config-epoch {SERVICE} 7"
    async with (
        redis_server() as old,
        redis_server() as new,
        sentinel(tmp_path, old.port) as cut_off,
        sentinel(tmp_path, new.port, newer) as right,
    ):
        for order in ((cut_off, right), (right, cut_off)):
            async with site_of(url_of(*order)) as site:
                assert site.backend.ready
                assert f"connected to 127.0.0.1:{new.port}, by the sentinel" in caplog.messages[-1]


@pytest.mark.promise(
    "Many nodes",
    "Sentinels say where the primary is: if it is killed or moved, nobody loses a place; each sentinel's "
    "fault is named",
)
@pytest.mark.parametrize("wrong", ["nobody listens there", "a replica"])
async def test_of_sentinels_that_disagree_without_a_failover_each_is_tried(
    wrong: str, tmp_path: Path
) -> None:
    """One of them watches another service by the same name."""
    async with redis_server() as server, redis_server() as replica:
        await replica.command("REPLICAOF", "127.0.0.1", free_port())
        there = replica.port if wrong == "a replica" else free_port()
        async with sentinel(tmp_path, there) as other, sentinel(tmp_path, server.port) as its:
            for order in ((other, its), (its, other)):
                async with site_of(url_of(*order)) as site:
                    await ready(site, 10)
                    await site.join("a")


@pytest.mark.promise(
    "Many nodes",
    "Sentinels say where the primary is: if it is killed or moved, nobody loses a place; each sentinel's "
    "fault is named",
)
async def test_each_sentinel_s_fault_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One is not there, one has a password, one watches something else."""
    nobody = Sentinel(free_port(), None)
    async with (
        redis_server() as server,
        sentinel(tmp_path, server.port, password="secret") as closed,
        sentinel(tmp_path, server.port) as other,
    ):
        await other.command("SENTINEL", "REMOVE", SERVICE)
        async with site_of(url_of(nobody, closed, other)) as site:
            assert not site.backend.ready
        faults = (
            f"the sentinel at 127.0.0.1:{nobody.port}: 127.0.0.1:{nobody.port}: Connection refused",
            f"the sentinel at 127.0.0.1:{closed.port}: NOAUTH Authentication required",
            f"the sentinel at 127.0.0.1:{other.port}: it knows no service '{SERVICE}'",
        )
        assert [each.message for each in caplog.records] == [
            f"Redis at {site.backend._uplink.address!s}: {'; '.join(faults)}; trying again"
        ]


async def test_a_primary_that_says_it_is_none_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As right after a failover, when the old one has come back, and a sentinel has not heard."""
    async with (
        redis_server() as primary,
        redis_server(None, "--replicaof", f"127.0.0.1 {primary.port}", "--dir", str(tmp_path)) as replica,
        sentinel(tmp_path, replica.port) as wrong,
        site_of(url_of(wrong)) as site,
    ):
        assert not site.backend.ready
        assert (
            f"127.0.0.1:{replica.port} says that it is a slave, but the sentinel at 127.0.0.1:{wrong.port} "
            "names it as the primary" in caplog.text
        )


async def test_passwords_of_the_sentinels_and_of_the_server(tmp_path: Path) -> None:
    async with (
        redis_server() as server,
        sentinel(tmp_path, server.port, f"sentinel auth-pass {SERVICE} one", password="two") as guarded,
    ):
        await server.command("CONFIG", "SET", "requirepass", "one")
        url = url_of(guarded, options="?sentinel_password=two").replace("//", "//:one@")
        async with site_of(url) as site:
            assert site.backend.ready
            await site.join("a")


async def test_tls_to_the_sentinels_and_to_the_server(tmp_path: Path) -> None:
    certfile, keyfile = map(str, certificate(tmp_path))
    files = {"tls-cert-file": certfile, "tls-key-file": keyfile, "tls-ca-cert-file": certfile}
    both = {**files, "tls-auth-clients": "no", "tls-replication": "yes"}
    port = free_port()
    options = [word for name, value in both.items() for word in (f"--{name}", value)]
    lines = [f"{name} {value}" for name, value in both.items()]
    async with (
        redis_server(None, "--tls-port", str(port), *options),
        sentinel(tmp_path, port, *lines, tls=True) as guarded,
        sentinel(tmp_path, port, *lines[:-1], "tls-replication yes") as plain,
    ):
        trusts = f"?ssl_ca_certs={certfile}"
        for one, more in ((guarded, ""), (plain, "&sentinel_ssl=false")):
            url = url_of(one, options=trusts + more).replace("redis+", "rediss+")
            async with site_of(url) as site:
                assert site.backend.ready


async def test_the_command_takes_them(tmp_path: Path) -> None:
    async with redis_server() as server, sentinel(tmp_path, server.port) as its:
        url = url_of(its).replace("//", "//:hunter2@")
        await server.command("CONFIG", "SET", "requirepass", "hunter2")
        await its.command("SENTINEL", "SET", SERVICE, "auth-pass", "hunter2")
        async with serve("--redis-url", url) as serving:
            await serving.program.line(f"rooms in Redis at 127.0.0.1:{its.port}/{SERVICE}/0")
            await serving.program.line(f"connected to 127.0.0.1:{server.port}, by the sentinel")
            assert "hunter2" not in serving.program.output
