"""What the log says while a node is without Redis: the server's words, one line when it is lost, one when back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import hiredis
import pytest
from redis.asyncio import Redis

from backends.pairs import Site, away, pair, ready
from support.redis import redis_server
from support.waiting import eventually
from walkie_signal.backends.shared.outage import Outage

DENIED = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface. If you want to connect "
    b"from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode"
    b"\r\n"
)
"""As Redis 7.0 has it, shortened at the end."""

MAXCLIENTS = b"-ERR max number of clients reached\r\n"
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


class Doorkeeper:
    """A server that says `words` and nothing else, to whoever knocks, or to each request."""

    def __init__(self, *, hangs_up: bool = True) -> None:
        self.words: Callable[[int], bytes] = lambda _: b""
        self.port = 0
        self._hangs_up = hangs_up
        self._knocks = 0
        self._knocked = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._knocked:
            self._knocks += 1
            self._knocked.notify_all()
        words, requests = self.words(self._knocks), hiredis.Reader()
        if self._hangs_up:
            writer.write(words)
        else:
            while data := await reader.read(1 << 16):
                requests.feed(data)
                while requests.gets() is not False:
                    writer.write(words)
        writer.close()

    async def knocked(self, more: int, within: float = 15.0) -> None:
        """Wait for so many more connections."""
        due = self._knocks + more
        async with self._knocked:
            await asyncio.wait_for(self._knocked.wait_for(lambda: self._knocks >= due), within)


@asynccontextmanager
async def kept_out(doorkeeper: Doorkeeper) -> AsyncIterator[None]:
    """Run a node that such a server keeps out."""
    server = await asyncio.start_server(doorkeeper.serve, "127.0.0.1", 0)
    doorkeeper.port = server.sockets[0].getsockname()[1]
    site = Site(f"redis://127.0.0.1:{doorkeeper.port}/0")
    try:
        await site.backend.start(site.kept)
        yield
    finally:
        await site.backend.close()
        server.close()
        await server.wait_closed()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message.partition("/0: ")[2] for each in caplog.records if "Redis at" in each.message]


@pytest.mark.promise(
    "Many nodes", "A time without Redis is two lines in the log, with the server's own words"
)
@pytest.mark.parametrize(
    ("words", "when", "told"),
    [
        (DENIED, "at once", DENIED[1:].partition(b". ")[0].decode()),
        (MAXCLIENTS, "at once", "ERR max number of clients reached"),
        (LOADING, "when asked", "LOADING Redis is loading the dataset in memory"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "at once", "what answers there does not speak as Redis does"),
        (b"", "at once", "the connection ended"),
    ],
    ids=["DENIED", "maxclients", "LOADING", "HTTP", "nothing"],
)
async def test_the_words_of_a_server_are_told_once(
    words: bytes, when: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    doorkeeper = Doorkeeper(hangs_up=when == "at once")
    doorkeeper.words = lambda _: words
    async with kept_out(doorkeeper):
        await doorkeeper.knocked(5)
    (line,) = lines(caplog)
    assert line.startswith(told)
    assert line.endswith("; trying again")
    assert "external computers" not in line


@pytest.mark.promise(
    "Many nodes", "A time without Redis is two lines in the log, with the server's own words"
)
async def test_reasons_that_take_turns_are_one_line_and_a_new_one_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    doorkeeper = Doorkeeper()
    doorkeeper.words = lambda number: (DENIED, MAXCLIENTS)[number % 2]
    async with kept_out(doorkeeper):
        await doorkeeper.knocked(5)
        assert len(lines(caplog)) == 1
        doorkeeper.words = lambda _: b"-NOAUTH Authentication required.\r\n"
        await doorkeeper.knocked(5)
        assert lines(caplog)[1:] == ["NOAUTH Authentication required; trying again"]


@pytest.mark.promise(
    "Many nodes", "A time without Redis is two lines in the log, with the server's own words"
)
async def test_an_outage_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with pair(1) as (server, (site,)):
        caplog.clear()
        owner = Redis.from_url(server.url, decode_responses=True)
        await owner.config_set("maxclients", 1)
        for kind in ("normal", "pubsub"):
            await owner.client_kill_filter(_type=kind, skipme=True)
        outage = site.backend._uplink._outage
        await site.until(lambda: not site.backend.ready)
        await eventually(lambda: outage._tries, lambda tries: tries >= 5, within=30)
        tries = outage._tries
        await owner.config_set("maxclients", 100)
        await ready(site)
        await owner.aclose()
        lost, back = lines(caplog)
        assert lost == "the connection ended, and then: ERR max number of clients reached; trying again"
        assert back.startswith("connected, after ")
        assert int(back.split()[2]) > tries


@pytest.mark.parametrize(
    ("refuses", "takes", "word"),
    [
        ("requirepass secret", "requirepass ", "NOAUTH"),
        ("replica-serve-stale-data no", "replica-serve-stale-data yes", "MASTERDOWN"),
    ],
    ids=["NOAUTH", "MASTERDOWN"],
)
async def test_a_refusal_is_told_by_its_word(
    refuses: str, takes: str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with redis_server() as server:
        owner = Redis.from_url(server.url, decode_responses=True)
        await owner.execute_command("CONFIG", "SET", *refuses.split(" "))  # type: ignore[no-untyped-call]
        if word == "MASTERDOWN":
            await owner.execute_command("REPLICAOF", "127.0.0.1", 1)  # type: ignore[no-untyped-call]
        site = Site(server.url)
        await site.backend.start(site.kept)
        try:
            await eventually(lambda: site.backend._uplink._outage._tries, lambda tries: tries >= 3, within=30)
            (line,) = lines(caplog)
            assert line.startswith(f"{word} ")
            await owner.execute_command("CONFIG", "SET", *takes.split(" "))  # type: ignore[no-untyped-call]
            await owner.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]
            await ready(site)
        finally:
            await site.backend.close()
            await owner.aclose()


async def test_a_connection_that_is_back_at_once_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with pair(1) as (server, (site,)):
        caplog.clear()
        await server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await away(site)
        await ready(site)
        lost, back = await eventually(lambda: lines(caplog), lambda told: len(told) == 2)
        assert lost == "the connection ended; trying again"
        assert back.startswith("connected, after 1 try in ")


@pytest.mark.promise(
    "Many nodes", "Redis 6.2 and Valkey do as Redis 7.0 does; an older Redis is refused with a word"
)
async def test_a_redis_that_is_too_old_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """No such server is to be had here: this one says what Redis 6.0 would."""
    doorkeeper = Doorkeeper(hangs_up=False)
    facts = (b"server", b"redis", b"version", b"6.0.16")
    written = b"*4\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in facts)
    doorkeeper.words = lambda _: written
    async with kept_out(doorkeeper):
        await doorkeeper.knocked(3)
    assert lines(caplog) == ["it is Redis 6.0.16, and 6.2 or later is needed; trying again"]


def test_what_is_told_of_an_outage_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("x/0", clock=lambda: 0.0)
    for number in range(100):
        for _ in range(3):
            outage.failed(f"reason {number}")
    assert len(lines(caplog)) <= 10
