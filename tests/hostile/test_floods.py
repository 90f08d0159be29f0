"""One connection that sends small frames as fast as it can takes its turns, and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hostile.services import ATTACHED, Kind, service
from support.frames import CLOSE, PING, PONG, TEXT, frame
from support.limits import unlimited
from support.peers import RawPeer, raw_peer
from support.raw import Transport
from support.waiting import becomes
from walkie_signal.bounded_log import MOST
from walkie_signal.direct.frames import Frames
from walkie_signal.direct.picows import SMALL

FRAMES = 3000
PINGS = 20_000
IN_A_TURN = 800
"""Far more than fit in a slice: a turn of a busy machine may be long."""

EVENTS = {
    "signals": ["signal", {"targetId": "{peer_id}", "signal": 0}],
    "refused": ["leave_room", {"room": "no room of mine"}],
    "re-joins": ["join_room", {"room": "gate"}],
    "unknown": ["nobody", {}],
    "malformed": ["signal", []],
}


class Turns:
    """How many events of any connection were begun in each turn of the loop."""

    def __init__(self) -> None:
        self.counts = [0]

    def counted(self, function: Any) -> Any:
        def count(*arguments: Any) -> Any:
            self.counts[-1] += 1
            return function(*arguments)

        return count

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.counts.append(0)


@contextmanager
def turns_of(running: Any) -> Iterator[tuple[Turns, Turns]]:
    """Count what is taken, and what is worked on; for peers that connect within."""
    node = running.signaling._node
    taken, worked = Turns(), Turns()
    node.gate.receive_frame = taken.counted(node.gate.receive_frame)
    node.gate.work = worked.counted(node.gate.work)
    tasks = [asyncio.ensure_future(each.run()) for each in (taken, worked)]
    try:
        yield taken, worked
    finally:
        for task in tasks:
            task.cancel()


def masked(text: str) -> bytes:
    """Make the WebSocket frame of a client."""
    return frame(TEXT, text)


async def flood(peer: RawPeer, frames: list[str], transport: Transport) -> None:
    """Send frames in one write, or one POST."""
    if transport == "polling":
        await peer.send(*frames)
    else:
        await peer.session.wire.send(b"".join(map(masked, frames)))


def frames_of(kind: str, peer: RawPeer) -> list[str]:
    event = json.dumps(EVENTS[kind], separators=(",", ":")).replace("{peer_id}", peer.peer_id)
    return [f"42{number}{event}" for number in range(1, FRAMES + 1)]


def acks(peer: RawPeer) -> list[int]:
    return [int(text[2 : text.index("[")]) for text in map(str, peer.heard) if text.startswith("43")]


@pytest.mark.promise(
    "The transport",
    "A connection that sends small frames as fast as it can gets a small part of each turn of the loop, and of "
    "the time when it goes on; frames sent before its end are carried out before it",
)
@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("events", EVENTS)
@ATTACHED
async def test_a_flood_of_small_frames_takes_its_turns_and_no_more(
    kind: Kind, events: str, transport: Transport
) -> None:
    """Each is answered once, in order where nothing waits; what came in one read was done in one turn before."""
    settings = unlimited(outbox_messages=FRAMES, queued_events=FRAMES)
    async with service(kind, settings=settings) as running:
        with turns_of(running) as counts:
            browser = {"user-agent": "Mozilla/5.0"}  # which takes any number of packets in one poll
            async with raw_peer(running.url, transport, headers=browser) as peer:
                await peer.join("gate")
                before = len(acks(peer))
                for each in counts:
                    each.counts = [0]
                await flood(peer, frames_of(events, peer), transport)
                await peer.until(lambda frame: frame.startswith(f"43{FRAMES}["), "the last ack", within=20)
                assert acks(peer)[before:] == [*range(1, FRAMES + 1)]
            for each in counts:
                assert max(each.counts) <= IN_A_TURN, max(each.counts)
        assert not running.lines()


@pytest.mark.promise(
    "The transport",
    "A connection that sends small frames as fast as it can gets a small part of each turn of the loop, and of "
    "the time when it goes on; frames sent before its end are carried out before it",
)
async def test_pings_take_no_more_than_other_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that wait for a turn, the last is answered; and a client that floods is read in small pieces."""
    answered: list[bytes] = []
    write = Frames._write

    def written(self: Any, opcode: int, payload: Any) -> None:
        answered.extend([bytes(payload)] if opcode == PONG else [])
        write(self, opcode, payload)

    turns = Turns()
    monkeypatch.setattr(Frames, "_write", written)
    monkeypatch.setattr(Frames, "_receive_frame", turns.counted(Frames._receive_frame))
    async with service("direct") as running, raw_peer(running.url) as peer:
        await peer.join("gate")
        counting = asyncio.create_task(turns.run())
        for last in (PINGS, 2 * PINGS):
            turns.counts = [0]
            payloads = [f"{number:06}" for number in range(last - PINGS + 1, last + 1)]
            await peer.session.wire.send(b"".join(frame(PING, payload) for payload in payloads))
            await becomes(lambda: answered[-1:], [payloads[-1].encode()], within=10)
        counting.cancel()
        assert len(answered) < PINGS, len(answered)
        assert max(turns.counts) <= SMALL // len(frame(PING, "000000")) + 1, max(turns.counts)
        assert await peer.ask("leave_room", {"room": "gate"})
        assert not running.lines()


@pytest.mark.promise(
    "The transport",
    "A connection that sends small frames as fast as it can gets a small part of each turn of the loop, and of "
    "the time when it goes on; frames sent before its end are carried out before it",
)
async def test_what_comes_behind_a_violation_takes_few_frames_of_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection is closed at the first; until the client closes it too, the rest is looked through."""
    turns = Turns()
    monkeypatch.setattr(Frames, "_receive_frame", turns.counted(Frames._receive_frame))
    async with service("direct") as running, raw_peer(running.url) as peer:
        await peer.join("gate")
        counting = asyncio.create_task(turns.run())
        await peer.session.wire.send(masked("2") * 200_000)
        await peer.closed(within=10)
        counting.cancel()
        assert max(turns.counts) <= SMALL // len(masked("2")) + 1, max(turns.counts)


@pytest.mark.promise(
    "The transport",
    "A connection that sends small frames as fast as it can gets a small part of each turn of the loop, and of "
    "the time when it goes on; frames sent before its end are carried out before it",
)
@pytest.mark.parametrize("farewell", ["41", "1", "close", "abort"])
@ATTACHED
async def test_what_came_before_the_end_of_a_connection_is_carried_out_before_it(
    kind: Kind, farewell: str
) -> None:
    """A flood, one last word to somebody, and the end, all of it in one write."""
    async with (
        service(kind) as running,
        raw_peer(running.url) as friend,
        raw_peer(running.url) as peer,
    ):
        await friend.join("gate")
        await peer.join("gate")
        frames = [f'42["signal",{{"targetId":"{friend.peer_id}","signal":{n}}}]' for n in range(900)]
        blob = b"".join(map(masked, frames))
        blob += frame(CLOSE) if farewell == "close" else b"" if farewell == "abort" else masked(farewell)
        await peer.session.wire.send(blob)
        if farewell == "abort":
            peer.session.wire.end()
        await friend.event("peer_disconnected")
        heard = [payload.get("signal") for name, payload in friend.events() if name == "signal"]
        assert heard == [*range(900)]
        assert not running.lines()


@pytest.mark.promise(
    "The transport", "A connection that is known to be lost gets no answers, so asyncio logs no writes to it"
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "behind a middleware"])
@ATTACHED
async def test_who_floods_and_leaves_is_answered_no_more(kind: Kind, *, wrapped: bool) -> None:
    """asyncio has a line in the log for each write to a connection that is lost, but for the first four."""
    async with service(kind, wrap=_wrapped if wrapped else None) as running:
        for _ in range(5):
            async with raw_peer(running.url) as peer:
                await peer.join("gate")
                await peer.pause()
                await flood(peer, frames_of("malformed", peer), "websocket")
                await peer.abort()  # which resets it, for there is something unread
        await becomes(lambda: [*running.sio.eio.sockets], [])
        assert not running.lines()


def _wrapped(app: Any) -> Any:
    async def call(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            await send(message)

        await app(scope, receive, sent)

    return call


@pytest.mark.promise(
    "The transport",
    "What a host's handlers say of events, misfits and faults, is bounded in the log, however many "
    "connections send them",
)
@pytest.mark.parametrize(("event", "line"), [('["upload"]', "does not fit"), ('["upload","x"]', "failed")])
@ATTACHED
async def test_what_a_hosts_handler_says_of_events_is_lines_that_are_bounded(
    kind: Kind, event: str, line: str
) -> None:
    async with service(kind) as running:

        async def upload(_sid: str, name: str) -> None:
            raise RuntimeError(name)

        running.sio.on("upload", upload, namespace="/files")
        for _ in range(MOST + 5):
            async with raw_peer(running.url) as peer:
                await peer.send("40/files,")
                await peer.until(lambda frame: frame.startswith("40/files,"), "CONNECT")
                await peer.send(f"42/files,{event}")
                await peer.join("gate")
        assert [line in each.text for each in running.lines()] == [True] * MOST
