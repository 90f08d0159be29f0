"""The rights that the page on Redis gives a node are enough, and no more than that."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from backends.pairs import Site, away, frame, ready
from support.redis import RedisServer, redis_server
from support.waiting import eventually
from walkie_signal.backends.redis.store.nodes import StoredNodes
from walkie_signal.backends.shared.directory import AT_ONCE
from walkie_signal.backends.shared.followed import FOLLOWED_FOR
from walkie_signal.core.changes import Joined, Left
from walkie_signal.errors import SignalingError

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
DATABASE = 3
BASE = f"walkie-signal:{DATABASE}:/"


def rights() -> list[str]:
    """Return what the page gives a node, as words of the command."""
    line = re.search(r"^ACL SETUSER walkie .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert line is not None
    assert ">PASSWORD" in line[0]
    return line[0].replace("PASSWORD", "secret").split()


def url_of(server: RedisServer) -> str:
    return f"redis://walkie:secret@127.0.0.1:{server.port}/{DATABASE}"


class Owner:
    """Redis' own administrator, in the nodes' database."""

    def __init__(self, server: RedisServer) -> None:
        self._redis = Redis(port=server.port, db=DATABASE, decode_responses=True)
        self.close = self._redis.aclose

    async def does(self, *command: str) -> Any:
        return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]


def of_a_provider() -> list[str]:
    """Return them without what managed servers refuse: no housekeeping, and scripts by EVAL only."""
    refused = ("+client", "+script", "+evalsha")
    return [*(word for word in rights() if not word.startswith(refused)), "+eval"]


@asynccontextmanager
async def pair_of_the_user(line: list[str]) -> AsyncIterator[tuple[RedisServer, Owner, Site, Site]]:
    """Run two nodes with these rights; at their end nothing was refused them but housekeeping that they lack."""
    async with redis_server(None, "--user", *line[2:]) as server:
        owner, one, two = Owner(server), Site(url_of(server)), Site(url_of(server))
        try:
            for site in (one, two):
                await site.backend.start(site.kept)
                assert site.backend.ready, await owner.does("ACL", "LOG")
            try:
                yield server, owner, one, two
            finally:
                for site in (one, two):
                    await site.backend.close()
            refused = {each["object"] for each in await owner.does("ACL", "LOG")}
            housekeeping = {"client|setname", "client|id", "client|list", "client|kill", "script|load"}
            assert refused <= {name for name in housekeeping if f"+{name}" not in line}
        finally:
            await owner.close()


@pytest.mark.promise(
    "Many nodes", "The rights in Redis that the docs give a node are exactly those that it needs"
)
async def test_a_node_does_all_that_it_does_with_these_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is used by more than the trial that begins each connection."""

    async def assume(*_: Any) -> None:
        pass

    monkeypatch.setattr(StoredNodes, "check_rights", assume)
    async with pair_of_the_user(rights()) as (_, owner, one, two):
        await _meet_and_part(one, two)
        await _reconnect(owner, one, two)
        await _remove_a_dead_one(owner, one, two)
        await _forget_rooms(one, two)
        for site in (one, two):  # the last one to end does what the first did not
            await site.backend.close()
        used = {name.removeprefix("cmdstat_") for name in await owner.does("INFO", "commandstats")}
        given = {word[1:] for word in rights() if word.startswith("+")}
        assert given - used == set(), "rights that no node has used"


@pytest.mark.promise(
    "Many nodes",
    "A command that Redis refuses is named once, and the node goes on without it if it is only "
    "housekeeping; if the node needs it, it is tried until it is allowed",
)
@pytest.mark.parametrize("line", [rights(), of_a_provider()], ids=["the page's", "a provider's"])
async def test_a_node_goes_through_all_with_the_rights_of(
    line: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with pair_of_the_user(line) as (server, owner, one, two):
        await _meet_and_part(one, two)
        await _reconnect(owner, one, two)
        await server.restart()
        await asyncio.gather(away(one), away(two))
        await asyncio.gather(ready(one), ready(two))
        assert [member.peer_id for member in await two.backend.roster("r")] == ["a"]
        await _remove_a_dead_one(owner, one, two)
        await _forget_rooms(one, two)
    for command in HOUSEKEEPING:
        refused = f"+{command.replace(' ', '|').lower()}" not in line and command not in NEVER_REACHED
        assert caplog.text.count(f"it refuses {command};") == (2 if refused else 0), caplog.text


HOUSEKEEPING = ["CLIENT SETNAME", "CLIENT ID", "CLIENT LIST", "CLIENT KILL", "SCRIPT LOAD"]

NEVER_REACHED = ["CLIENT LIST", "CLIENT KILL"]
"""Of a connection whose number it does not know a node asks nothing, and one that has ended it need not kill."""


@pytest.mark.promise(
    "Many nodes",
    "A command that Redis refuses is named once, and the node goes on without it if it is only "
    "housekeeping; if the node needs it, it is tried until it is allowed",
)
@pytest.mark.parametrize("command", HOUSEKEEPING)
@pytest.mark.parametrize("how", ["by right", "as unknown"])
async def test_housekeeping_that_is_refused_is_named_once_and_forgotten(
    command: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the node connects anew, and nothing is owed for it."""
    whole = command.split(" ", maxsplit=1)[0]
    options = ["--user", "walkie", "on", ">secret", "~*", "&*", "+@all"]
    if how == "by right":
        options.append(f"-{command.replace(' ', '|').lower()}")
    else:
        options += ["--rename-command", whole, "its-owner-s"]
    async with redis_server(None, *options) as server:
        site = Site(url_of(server))
        await site.backend.start(site.kept)
        try:
            a = await site.join("a")
            for number in range(3):
                site.backend._uplink.lose(f"cut for the {number}. time")
                await away(site)
                await ready(site)
            assert list(await site.backend.roster("r")) == [a]
            await site.join("b")
            assert len(site.backend._uplink._pairs._former) <= 2
        finally:
            await site.backend.close()
    names = [name for name in HOUSEKEEPING if name.startswith(whole)] if how == "as unknown" else [command]
    for name in names:
        said = caplog.text.count(f"it refuses {name};")
        assert said == 1 or (said == 0 and name in NEVER_REACHED), caplog.text


@pytest.mark.promise(
    "Many nodes",
    "A command that Redis refuses is named once, and the node goes on without it if it is only "
    "housekeeping; if the node needs it, it is tried until it is allowed",
)
async def test_a_command_that_is_needed_and_refused_is_named_and_asked_for_until_it_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    housekeeping = {f"+{name.replace(' ', '|').lower()}" for name in HOUSEKEEPING}
    needed = sorted(word[1:] for word in rights() if word.startswith("+") and word not in housekeeping)
    assert "hset" in needed
    async with redis_server() as server:
        sites = []
        for command in needed:
            line = [word for word in rights() if word != f"+{command}"]
            await server.command("ACL", "SETUSER", f"without-{command}", *line[3:])
            sites.append(Site(url_of(server).replace("walkie:", f"without-{command}:")))
        await asyncio.gather(*(site.backend.start(site.kept) for site in sites))
        try:
            for command, site in zip(needed, sites, strict=True):
                assert not site.backend.ready, command
                named = re.compile(rf"(?:it refuses |run the '){command}\b", re.IGNORECASE)
                said = [each for each in caplog.messages if named.search(each)]
                assert len(said) == 1, (command, caplog.text)
                await server.command("ACL", "SETUSER", f"without-{command}", f"+{command}")
            await asyncio.gather(*(ready(site) for site in sites))
        finally:
            await asyncio.gather(*(site.backend.close() for site in sites))


@pytest.mark.promise(
    "Many nodes",
    "A command that Redis refuses is named once, and the node goes on without it if it is only "
    "housekeeping; if the node needs it, it is tried until it is allowed",
)
async def test_a_right_that_is_taken_away_is_named_too(caplog: pytest.LogCaptureFixture) -> None:
    async with redis_server() as server:
        await server.command(*rights())
        site = Site(url_of(server))
        await site.backend.start(site.kept)
        try:
            await site.join("a")
            await server.command("ACL", "SETUSER", "walkie", "-hset")
            with pytest.raises(SignalingError) as caught:
                await site.join("b")
            assert caught.value.code == "unavailable"
            await away(site)
            await eventually(lambda: caplog.text, lambda text: "it refuses HSET, which a node needs" in text)
        finally:
            await site.backend.close()


async def _meet_and_part(one: Site, two: Site) -> None:
    await one.join("a")
    b = await two.join("b")
    await one.until(lambda: Joined(b) in one.kept.applied)
    one.backend.relay(b, "a", frame("text"), lambda _: None)
    await two.until(lambda: two.kept.handed_over == [("b", frame("text"))])
    for site, peer_id in ((one, "a"), (two, "b")):
        site.backend.present(peer_id, "7")
    assert await one.backend.rooms() == ["r"]
    assert [member.peer_id for member in await one.backend.roster("r")] == ["a", "b"]
    while await one.backend.tell("7", frame("text")) == 0:
        pass  # the other's entry is on its way
    await two.until(lambda: two.kept.told == [("7", frame("text"))])
    assert await one.backend.kick("b")
    await two.until(lambda: two.kept.kicked == ["b"])
    one.backend.absent("a", "7")
    await two.backend.leave("r", "b", "kicked")
    await one.until(lambda: Left("r", "b", "kicked") in one.kept.applied)


async def _reconnect(owner: Owner, one: Site, two: Site) -> None:
    """Its connections are ended, once while it has more to write again than it does in one go."""
    for number in range(AT_ONCE):
        one.backend.present(f"p{number}", None)
    await owner.does("CLIENT", "KILL", "TYPE", "pubsub")
    await asyncio.gather(away(one), away(two))
    await asyncio.gather(ready(one), ready(two))


async def _remove_a_dead_one(owner: Owner, one: Site, two: Site) -> None:
    room, rooms = f"{BASE}:room:{{r}}", f"{BASE}:node:{{dead}}:rooms"
    epoch = (await owner.does("HGET", room, "")).split(" ")[0]
    await owner.does("HSET", room, "ghost", f"{epoch} dead {{}}")
    await owner.does("SADD", rooms, "r")
    await owner.does("ZADD", f"{BASE}:{{nodes}}", "1000000000000000", "dead")
    asked = ("ZSCORE", f"{BASE}:{{nodes}}", "dead")
    await eventually(lambda: owner.does(*asked), lambda score: score is None, "removed", within=30)
    assert {each.peer_id for site in (one, two) for each in site.kept.removed} == {"ghost"}
    assert await owner.does("EXISTS", rooms) == 0


async def _forget_rooms(one: Site, two: Site) -> None:
    await one.backend.leave("r", "a", "left")
    for site in (one, two):
        site.backend._followed.sweep(asyncio.get_running_loop().time() + FOLLOWED_FOR + 1)
        assert await site.backend.rooms() == []


OTHERS = "return redis.call('GET', 'of another')"


@pytest.mark.promise(
    "Many nodes", "The rights in Redis that the docs give a node are exactly those that it needs"
)
@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("EVAL", OTHERS, "0"),
        ("GET", "of another"),
        ("HGETALL", "of another"),
        ("SET", "of another", "1"),
        ("DEL", "of another"),
        ("PUBLISH", "of another", "1"),
        ("SUBSCRIBE", "of another"),
        ("PSUBSCRIBE", "*"),
    ],
    ids=" ".join,
)
async def test_the_rights_end_with_the_prefix(command: tuple[str, ...]) -> None:
    async with redis_server() as server:
        await server.command(*rights())
        connection = Redis.from_url(url_of(server))
        try:
            with pytest.raises(NoPermissionError):
                await connection.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            await connection.aclose()


async def test_a_script_has_no_further_rights() -> None:
    async with redis_server() as server:
        await server.command(*rights())
        connection = Redis.from_url(url_of(server))
        try:
            sha = await connection.script_load(OTHERS)
            with pytest.raises(ResponseError, match="can't access"):
                await connection.evalsha(sha, 0)
        finally:
            await connection.aclose()


async def test_the_line_does_in_the_configuration_too(tmp_path: Path) -> None:
    """There it begins with `user`, as the page says."""

    async def user(server: RedisServer) -> dict[str, Any]:
        made: dict[str, Any] = await server.command("ACL", "GETUSER", "walkie")
        return {**made, "commands": set(made["commands"].split())}

    configuration = tmp_path / "redis.conf"
    configuration.write_text(" ".join(["user", *rights()[2:]]))
    async with redis_server() as server:
        await server.command(*rights())
        made = await user(server)
    async with redis_server(None, "--include", str(configuration)) as server:
        assert await user(server) == made
