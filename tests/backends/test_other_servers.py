"""Redis 6.2 and Valkey do as the machine's own Redis does: the same tests, and what those two say otherwise."""

from __future__ import annotations

import platform
import sys

import pytest

import support.redis
from backends.pairs import away, pair, ready
from backends.test_acl import pair_of_the_user, rights
from backends.test_contract import *  # noqa: F403 - the tests are what is imported
from backends.test_strange_keys import (  # noqa: F401 - likewise
    test_a_key_of_another_type_concerns_what_it_is_for,
    test_a_key_that_concerns_all_is_named_and_the_nodes_come_back_when_it_is_gone,
    test_a_strange_room_is_set_aside_and_comes_back,
)
from backends.test_traps import *  # noqa: F403 - likewise
from support.redis import other_servers, redis_server
from support.waiting import eventually

pytestmark = pytest.mark.promise(
    "Many nodes", "Redis 6.2 and Valkey do as Redis 7.0 does; an older Redis is refused with a word"
)

SERVERS = other_servers()


@pytest.fixture(autouse=True, params=SERVERS)
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run another server in place of the machine's."""
    name: str = request.param
    monkeypatch.setattr(support.redis, "PROGRAM", SERVERS[name])
    return name


def test_each_that_is_to_be_had_is_here() -> None:
    """As the group of dependencies `test` says."""
    both = (platform.system(), platform.machine()) == ("Linux", "x86_64") and sys.version_info < (3, 13)
    assert len(SERVERS) == 2 or not both


async def test_it_is_the_one(program: str) -> None:
    async with redis_server() as server:
        facts = await server.command("INFO", "server")
        version = facts.get("valkey_version", facts["redis_version"])
        assert version.startswith({"redis 6.2": "6.2.", "valkey": "9."}[program])


async def test_the_rights_of_the_page_are_enough() -> None:
    async with pair_of_the_user(rights()) as (_, _, one, two):
        await one.join("a")
        await two.join("b")
        assert len(await one.backend.roster("r")) == 2


@pytest.mark.parametrize(
    ("refuses", "takes", "word"),
    [
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY"),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
    ],
    ids=["READONLY", "OOM"],
)
async def test_an_error_of_a_script_begins_with_its_word(
    refuses: str, takes: str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pair(1) as (server, (site,)):
        await server.command(*refuses.split())
        await away(site)
        await eventually(lambda: caplog.text, lambda text: f"/0: {word} " in text)
        await server.command(*takes.split())
        await ready(site)
