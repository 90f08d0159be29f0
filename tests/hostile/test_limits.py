"""Peers and addresses that do too much are told so, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import httpx
import pytest

from hostile.services import EVERYWHERE, IN_PROCESS, OURS, Kind, service
from support.peers import RawPeer, raw_peer
from support.raw import RefusedError, raw
from support.servers import serve
from walkie_signal import Credentials, Identity, Settings

CROWD = 100
EACH = 40
RATE, BURST = 100, 200
TOLD = 1000
"""Refusals that a peer is told of at once."""


@asynccontextmanager
async def pairs(url: str, count: int) -> AsyncIterator[list[tuple[RawPeer, RawPeer]]]:
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(raw_peer(url)) for _ in range(2 * count)]
        both = list(zip(peers[::2], peers[1::2], strict=True))
        for number, pair in enumerate(both):
            for peer in pair:
                await peer.join(f"room {number}")
        yield both


async def talk(ann: RawPeer, bob: RawPeer) -> None:
    """Send signals at half of the rate, each acked, and see that all of them arrive, in order."""
    for number in range(EACH):
        assert await ann.ask("signal", {"targetId": bob.peer_id, "signal": number}) == {"ok": True}
        await asyncio.sleep(2 / RATE)
    heard = [each["signal"] for each in bob.all("signal", fromId=ann.peer_id)]
    assert heard == list(range(EACH))


async def flood(peer: RawPeer, count: int) -> list[Any]:
    """Send signals to oneself as fast as possible; returns their acks."""
    text = json.dumps(["signal", {"targetId": peer.peer_id, "signal": 0}])
    await peer.send(*(f"42{number}{text}" for number in range(1000, 1000 + count)))
    return [await peer.acked(number) for number in range(1000, 1000 + count)]


def refusals(acks: Sequence[Any]) -> list[dict[str, Any]]:
    return [ack["error"] for ack in acks if ack["ok"] is not True]


@pytest.mark.promise(
    "Limits", "A peer over a limit is told which, and when to try again; the others lose nothing"
)
@EVERYWHERE
async def test_one_at_ten_times_the_rate_is_limited_and_100_at_one_lose_nothing(kind: Kind) -> None:
    settings = Settings(event_rate=RATE, event_burst=BURST)
    async with (
        service(kind, settings=settings) as running,
        pairs(running.url, CROWD // 2) as both,
        raw_peer(running.url) as greedy,
    ):
        await greedy.join("greedy")
        begun = monotonic()
        talking = asyncio.gather(*(talk(ann, bob) for ann, bob in both))
        acks: list[Any] = []
        while len(acks) < 10 * BURST and len(refusals(acks)) < TOLD - BURST:
            acks += await flood(greedy, BURST)
        errors = refusals(acks)
        passed = len(acks) - len(errors)
        assert BURST <= passed <= BURST + RATE * (monotonic() - begun)
        assert {(error["code"], error["limit"]) for error in errors} == {("rate_limited", "event_rate")}
        assert all(0 < error["retryAfterMs"] <= 1000 / RATE + 1 for error in errors)
        await asyncio.sleep(errors[-1]["retryAfterMs"] / 1000)
        assert (await greedy.ask("signal", {"targetId": greedy.peer_id, "signal": 0})) == {"ok": True}
        await talking


@pytest.mark.promise("Limits", "The bytes of a peer's events are limited too, and the quick way obeys")
@EVERYWHERE
async def test_large_signals_meet_the_limit_of_bytes(kind: Kind) -> None:
    settings = Settings(byte_rate=10_000, byte_burst=30_000)
    async with service(kind, settings=settings) as running, raw_peer(running.url) as peer:
        await peer.join("gate")
        value = "x" * 10_000
        acks = [await peer.ask("signal", {"targetId": peer.peer_id, "signal": value}) for _ in range(5)]
        assert [ack["ok"] for ack in acks] == [True, True, True, False, False]
        error = acks[-1]["error"]
        assert (error["code"], error["limit"]) == ("rate_limited", "byte_rate")
        assert 0 < error["retryAfterMs"] < 1000
        await asyncio.sleep(error["retryAfterMs"] / 1000)
        assert (await peer.ask("signal", {"targetId": peer.peer_id, "signal": 0})) == {"ok": True}


@pytest.mark.promise("Limits", "Who goes on after it was told so is closed, and was not answered without end")
@EVERYWHERE
async def test_one_that_goes_on_is_closed(kind: Kind) -> None:
    """Otherwise each of its events would still cost an answer."""
    settings = Settings(event_rate=1, event_burst=10)
    async with (
        service(kind, settings=settings) as running,
        raw_peer(running.url) as witness,
        raw_peer(running.url) as greedy,
    ):
        await witness.join("gate")
        await greedy.join("gate")
        while not await _gone(witness, greedy):
            await greedy.send(*('42["signal",{}]' for _ in range(100)))
        if kind != "stock":  # there python-engineio leaves the end of a WebSocket to its client
            await greedy.closed(within=5)
        told = greedy.all("signal_error", code="rate_limited")
        assert TOLD <= len(told) <= TOLD + 200
        lines = [line.text for line in running.lines() if "closed" in line.text]
        assert len(lines) == 1
        assert "it went on after rate_limited" in lines[0]


async def _gone(witness: RawPeer, peer: RawPeer) -> bool:
    await witness.ask("signal", {"targetId": peer.peer_id, "signal": 0})
    gone = witness.all("peer_disconnected", peerId=peer.peer_id)
    assert all(each["reason"] == "limited" for each in gone)
    return bool(gone)


@pytest.mark.promise("Limits", "A peer that connects anew on its connection has no more than it had left")
@OURS
async def test_a_connect_on_the_same_connection_makes_no_allowance_whole(kind: Kind) -> None:
    """One connection that went and came relayed 130 MB a second, and was never limited."""
    settings = Settings(join_burst=3, join_rate=0.01)
    async with service(kind, settings=settings) as running, raw_peer(running.url) as peer:
        await peer.join("a")
        for _ in range(2):
            await peer.send("41")
            assert "sid" in await peer.connect()
        assert (await peer.ask("join_room", {"room": "b"}))["error"]["limit"] == "join_rate"
        await peer.send("41")
        refused = (await peer.connect())["data"]
        assert (refused["code"], refused["limit"]) == ("rate_limited", "join_rate")


@pytest.mark.promise("Limits", "The bytes of a peer's events are limited too, and the quick way obeys")
@pytest.mark.parametrize("name", ["signal", "nobody"])
@IN_PROCESS
async def test_binary_events_meet_the_limit_of_bytes(kind: Kind, name: str) -> None:
    settings = Settings(byte_rate=10_000, byte_burst=30_000)
    async with service(kind, settings=settings) as running, raw_peer(running.url) as peer:
        await peer.join("gate")
        codes = []
        for number in range(10, 14):
            head = f'451-{number}["{name}",{{"_placeholder":true,"num":0}}]'
            await peer.send(head, b"x" * 20_000)
            codes.append((await peer.acked(number))["error"]["code"])
        assert codes[-2:] == ["rate_limited"] * 2
        assert codes[0] in ("invalid_payload", "unknown_event")


@pytest.mark.promise("Limits", "Who waits as long as it is told is not closed, whatever holds up its events")
@IN_PROCESS
async def test_events_behind_a_slow_join_bring_nobody_nearer_to_its_end(kind: Kind) -> None:
    opened = asyncio.Event()

    async def authorize(_identity: Identity, _room: str) -> bool:
        await opened.wait()
        return True

    settings = Settings(callback_timeout=30)
    async with (
        service(kind, settings=settings, authorize=authorize) as running,
        raw_peer(running.url) as peer,
    ):
        await peer.connect()
        await peer.send('421["join_room",{"room":"slow"}]')
        numbers = range(2, 2 + 1900)
        for number in numbers:
            await peer.send(f'42{number}["signal",{{"targetId":"x","signal":0}}]')
        last = await peer.acked(numbers[-1])
        assert (last["error"]["code"], last["error"]["limit"]) == ("rate_limited", "queued_events")
        opened.set()
        assert (await peer.acked(1))["ok"] is True
        assert peer.is_open


@pytest.mark.promise("Limits", "Bad credentials of an address are limited; a good one is always let in")
@IN_PROCESS
async def test_after_ten_bad_credentials_of_an_address_nothing_more_is_done_for_the_next(kind: Kind) -> None:
    asked: list[Credentials] = []

    def authenticate(credentials: Credentials) -> Identity | None:
        asked.append(credentials)
        return Identity("ann") if credentials.token == "good" else None

    async with service(kind, authenticate=authenticate) as running:
        del asked[:]
        lines = len(running.lines())
        answers = [await _shown(running.url, f"bad {number}") for number in range(15)]
        assert {answer["data"]["code"] for answer in answers} == {"unauthorized"}
        assert {answer["message"] for answer in answers} == {"no valid credential"}
        waits = [answer["data"].get("retryAfterMs") for answer in answers]
        assert waits[:9] == [None] * 9
        assert all(0 < wait <= 7000 for wait in waits[10:])
        assert [each.is_suspect for each in asked[:9]] == [False] * 9
        assert all(each.is_suspect for each in asked[10:])
        new = [line.text for line in running.lines()[lines:]]
        assert sum("too many bad credentials" in line for line in new) == 1, new
        assert "sid" in await _shown(running.url, "good")


async def _shown(url: str, token: str) -> Any:
    async with raw_peer(url) as peer:
        return await peer.connect({"token": token})


# Connections


async def _handshake(url: str, address: str | None = None) -> httpx.Response:
    async with raw(f"{url}/socket.io/", {"X-Forwarded-For": address} if address else None) as client:
        return await client.http.get(client.url, params=client.query())


async def _refused_websocket(url: str, lines: Sequence[str] = ()) -> int:
    async with raw(f"{url}/socket.io/") as client:
        try:
            async with client.websocket(lines=lines):
                return 101
        except RefusedError as refused:
            return refused.status


@pytest.mark.promise("Limits", "Connections that have joined nothing are limited, for an address and in all")
@OURS
async def test_an_address_has_few_connections_that_have_joined_nothing(kind: Kind) -> None:
    async with (
        service(kind, settings=Settings(half_open_per_address=3)) as running,
        AsyncExitStack() as stack,
    ):
        peers = [await stack.enter_async_context(raw_peer(running.url)) for _ in range(3)]
        assert (await _handshake(running.url)).status_code == 429
        if kind == "serve":  # uvicorn by itself believes whoever is on the same machine
            assert (await _handshake(running.url, "203.0.113.9")).status_code == 429
        assert await _refused_websocket(running.url) == 403
        lines = [line.text for line in running.lines() if "handshake refused" in line.text]
        line = "handshake refused: Too many connections from this address (from 127.0.0.1)"
        assert {each.lower() for each in lines} == {f"info walkie_signal.transport: {line.lower()}"}
        await peers[0].connect()
        peers.append(await stack.enter_async_context(raw_peer(running.url)))
        assert (await _handshake(running.url)).status_code == 429
        await peers[1].abort()
        status = 429
        while status == 429:
            status = (await _handshake(running.url)).status_code
        assert status == 200


@pytest.mark.promise("Limits", "Connections that have joined nothing are limited, for an address and in all")
async def test_there_is_a_limit_for_all_addresses_together() -> None:
    options = ("--half-open", "2", "--half-open-per-address", "0", "--trusted-proxy", "127.0.0.1")
    async with serve(*options) as server:
        for number in range(2):
            assert (await _handshake(server.url, f"203.0.113.{number}")).status_code == 200
        assert (await _handshake(server.url, "203.0.113.3")).status_code == 503
        await server.program.line("Too many connections that have joined nothing")


@pytest.mark.promise(
    "Limits", "A limit of connections for an address is off by default, and counts real addresses"
)
async def test_an_address_has_as_many_connections_as_it_may() -> None:
    options = ("--connections-per-address", "2", "--trusted-proxy", "127.0.0.1")
    addresses = ["203.0.113.1", "203.0.113.1", "2001:db8::1", "2001:db8::2"]
    async with serve(*options) as server, AsyncExitStack() as stack:
        for address in addresses:
            headers = {"X-Forwarded-For": address}
            peer = await stack.enter_async_context(raw_peer(server.url, headers=headers))
            await peer.connect()
        assert (await _handshake(server.url, "203.0.113.1")).status_code == 429
        assert (await _handshake(server.url, "2001:db8::3")).status_code == 429
        assert (await _handshake(server.url, "203.0.113.2")).status_code == 200
        await peer.abort()
        while (status := (await _handshake(server.url, "2001:db8::3")).status_code) == 429:
            pass
        assert status == 200


@pytest.mark.promise("Limits", "A verified user has no more connections on a worker than it may")
@IN_PROCESS
async def test_a_user_has_as_many_connections_as_it_may(kind: Kind) -> None:
    settings = Settings(connections_per_user=2)

    def authenticate(credentials: Credentials) -> Identity:
        return Identity(credentials.token)

    async with (
        service(kind, settings=settings, authenticate=authenticate) as running,
        AsyncExitStack() as stack,
    ):
        for user in ("ann", "ann", "bob"):
            peer = await stack.enter_async_context(raw_peer(running.url))
            assert "sid" in await peer.connect({"token": user})
        async with raw_peer(running.url) as third:
            refused = (await third.connect({"token": "ann"}))["data"]
        assert (refused["code"], refused["limit"]) == ("rate_limited", "connections_per_user")
        assert refused["retryAfterMs"] == 18_000


@pytest.mark.promise("Limits", "A proxy that forwards an address and is not trusted is named in the log")
async def test_a_proxy_that_is_not_believed_is_named_once() -> None:
    async with serve() as server:
        for address in ("203.0.113.1", "203.0.113.2"):
            assert (await _handshake(server.url, address)).status_code == 200
        found = await server.program.line(
            r"X-Forwarded-For from (\S+) is not believed.*--trusted-proxy (\S+)"
        )
        assert found[1] == found[2] == "127.0.0.1"
        assert server.program.output.count("is not believed") == 1


@pytest.mark.promise("Hosts", "Cookies are no credential where the page of any origin may connect")
@pytest.mark.parametrize(("origins", "seen"), [("*", False), (["https://example.com"], True)])
async def test_cookies_are_kept_from_a_host_that_lets_any_page_in(origins: Any, seen: bool) -> None:  # noqa: FBT001
    asked: list[Credentials] = []

    def authenticate(credentials: Credentials) -> Identity:
        asked.append(credentials)
        return Identity("ann")

    async with service("attach", authenticate=authenticate, cors_origins=origins) as running:
        async with raw_peer(running.url, headers={"Cookie": "session=1"}) as peer:
            await peer.connect()
        assert ("cookie" in asked[-1].headers) is seen
