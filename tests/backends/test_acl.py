"""The rights that the page on Redis gives a node are enough, and no more than that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from backends.pairs import Site, away, ready
from support.redis import RedisServer, redis_server
from walkie_signal.core.rooms import Joined

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
NODES = "walkie-signal:/:{nodes}"


async def url_of_the_user(server: RedisServer) -> str:
    line = re.search(r"^ACL SETUSER walkie .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert line is not None
    await server.command(*line[0].replace("PASSWORD", "secret").split())
    return f"redis://walkie:secret@127.0.0.1:{server.port}/0"


async def test_a_node_does_all_that_it_does_with_these_rights() -> None:
    async with redis_server() as server:
        url = await url_of_the_user(server)
        one, two = Site(url), Site(url)
        for site in (one, two):
            await site.backend.start(site.kept)
            assert site.backend.ready
        try:
            await one.join("a")
            b = await two.join("b")
            await one.until(lambda: Joined(b) in one.kept.applied)
            one.backend.relay(b, "a", "text", lambda _: None)
            await two.until(lambda: two.kept.handed_over == [("b", "text")])
            for site, peer_id in ((one, "a"), (two, "b")):
                site.backend.present(peer_id, "7")
            assert await one.backend.rooms() == ["r"]
            assert len(await one.backend.roster("r")) == 2
            while await one.backend.tell("7", "text") == 0:
                pass  # the other's entry is on its way
            assert await one.backend.kick("b")
            await server.command("CLIENT", "KILL", "TYPE", "pubsub")
            for site in (one, two):
                await away(site)
            for site in (one, two):
                await ready(site)
            await server.command("SADD", "walkie-signal:/:node:{dead}:rooms", "r")
            await server.command("ZADD", NODES, "1000000000000000", "dead")
            while await server.command("ZSCORE", NODES, "dead") is not None:
                await one.backend.roster("r")  # until it is removed
            one.backend.absent("a", "7")
            await one.backend.leave("r", "a", "left")
        finally:
            for site in (one, two):
                await site.backend.close()
        assert await server.command("ACL", "LOG") == []


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("KEYS", "*"),
        ("GET", "of another"),
        ("SET", "of another", "1"),
        ("PUBLISH", "of another", "1"),
    ],
)
async def test_the_rights_end_with_the_prefix(command: tuple[str, ...]) -> None:
    async with redis_server() as server:
        connection = Redis.from_url(await url_of_the_user(server))
        try:
            with pytest.raises(NoPermissionError):
                await connection.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            await connection.aclose()
