"""Peers and addresses that do too much are told so, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from hostile.services import ATTACHED, EVERYWHERE, IN_PROCESS, OURS, Kind, service
from support.limits import unlimited
from support.peers import RawPeer, raw_peer
from support.waiting import eventually
from walkie_signal import Credentials, Identity, Settings
from walkie_signal.transport.socketio.joins import MOST_REFUSED

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


@pytest.mark.promise("Limits", "A connection whose CONNECTs are refused again and again is closed")
@pytest.mark.parametrize("packet", ["40/nowhere,", "40"], ids=["no such namespace", "refused by the host"])
@ATTACHED
async def test_connects_that_are_refused_without_end_close_their_connection(kind: Kind, packet: str) -> None:
    async with (
        service(kind, settings=unlimited(), authenticate=lambda _: None) as running,
        raw_peer(running.url) as peer,
    ):
        for _ in range(MOST_REFUSED + 1):
            assert peer.is_open
            before = len(peer.heard)
            await peer.send(packet)
            await eventually(lambda: len(peer.heard), lambda heard: heard > before)  # noqa: B023
        await peer.closed(within=5)
        assert sum(str(each).startswith("44") for each in peer.heard) <= MOST_REFUSED + 1
        assert any("too many CONNECTs" in line.text for line in running.lines())
