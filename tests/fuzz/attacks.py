"""Attacks on a server that listens: how one is made from a seed, and how it is carried out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from fuzz.frames import PEER, Generator, body_of
from fuzz.steps import begin_polling, hear, poll, post, say, upgrade
from support.frames import BINARY, CLOSE, FIN, PING, PONG, TEXT, framed
from support.heads import UPGRADE
from support.raw import SEPARATOR, Frame
from support.wire import Wire

Carrier = Literal["websocket", "upgrade", "polling", "http"]
Stage = Literal["open", "connected", "joined", "everywhere"]
Asks = Literal["an ack", "the end", "nothing"]

Piece = tuple[int | None, bytes]
"""The first byte of a WebSocket frame, and its payload; ``None`` for bytes as they are, and for bodies of POSTs."""

ACK = 8_007_199_254_740_992
"""The id of the ack that is asked for in the end."""

HANDSHAKE = "".join(f"{line}\r\n" for line in UPGRADE)
INTERNAL_ERROR = 1011
PATIENCE = 10.0
"""Seconds for an attack, which the server answers in a few milliseconds."""

ROOMS = 10


@dataclass(frozen=True)
class Attack:
    """What one connection does.

    Attributes:
        stage: How far it goes as good peers do, before it sends `pieces`.
        asks: What it asks for behind them, which it has to get unless it is closed: an ack, or to be closed for
            what is a violation in any state. A peer that has left the namespace may get no ack any more.
    """

    carrier: Carrier
    stage: Stage
    pieces: tuple[Piece, ...]
    asks: Asks = "an ack"

    def without(self, pieces: tuple[Piece, ...]) -> Attack:
        return Attack(self.carrier, self.stage, pieces, self.asks)


# Made


def attack_of(seed: str) -> Attack:
    """Make an attack; the same seed makes the same."""
    generator = Generator(seed, limit=65_536 if seed.endswith("00") else 1024)
    chance = generator.random
    carrier: Carrier = chance.choices(("websocket", "upgrade", "polling", "http"), (60, 8, 26, 6))[0]
    stage: Stage = chance.choices(("open", "connected", "joined", "everywhere"), (1, 2, 3, 4))[0]
    if carrier == "http":
        return Attack(carrier, "open", ((None, request(generator)),), "nothing")
    if carrier == "polling":
        bodies = [generator.body() for _ in range(1 + chance.randrange(2))]
        return Attack(carrier, stage, tuple((None, body) for body in bodies), asks_of(leaves(*bodies)))
    frames = generator.frames()
    pieces = list(pieces_of(frames, generator))
    if carrier == "upgrade":
        pieces = [*[(FIN | TEXT, b"2probe"), (FIN | TEXT, b"5")][: chance.randrange(4)], *pieces]
    asks = asks_of(leaves(body_of(frames)))
    if chance.random() < 0.1:
        wire = b"".join(
            framed(head, payload, chance.randbytes(4)) for head, payload in pieces if head is not None
        )
        pieces, asks = [(None, generator.mutated(wire))], "nothing"
    return Attack(carrier, stage, tuple(pieces), asks)


def asks_of(leaves: bool) -> Asks:  # noqa: FBT001 - its one argument
    return "the end" if leaves else "an ack"


def leaves(*bodies: bytes) -> bool:
    """Tell whether one of these packets may leave a namespace."""
    return any(packet.startswith(b"41") for body in bodies for packet in body.split(SEPARATOR.encode()))


def pieces_of(frames: Sequence[Frame], generator: Generator) -> Iterator[Piece]:
    """Write messages as WebSocket frames: some in fragments, with control frames in between, some text no UTF-8."""
    chance = generator.random
    for frame in frames:
        opcode, payload = (TEXT, frame.encode()) if isinstance(frame, str) else (BINARY, frame)
        if chance.random() < 0.03:
            payload = generator.noise(24)
        cuts = (
            sorted(chance.choices(range(len(payload) + 1), k=chance.randrange(4)))
            if chance.random() < 0.3
            else []
        )
        ends = [*cuts, len(payload)]
        for number, (start, end) in enumerate(zip([0, *cuts], ends, strict=True)):
            last = number == len(cuts) and chance.random() < 0.98
            yield (0 if number else opcode) | (FIN if last else 0), payload[start:end]
            if chance.random() < 0.05:
                yield FIN | chance.choice((PING, PING, PONG, CLOSE)), generator.noise(8)


def request(generator: Generator) -> bytes:
    """Write an HTTP request that nobody would send, up to its last byte."""
    chance = generator.random
    queries = (
        "EIO=4",
        "EIO=3",
        "transport=polling",
        "transport=websocket",
        "transport=x",
        "sid=x",
        "sid=",
        "j=0",
        "%ff",
        "t=1",
    )
    query = "&".join(chance.choices(queries, k=chance.randrange(5)))
    method = chance.choice(("GET", "GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE"))
    path = chance.choice(("/socket.io/", "/socket.io", "/socket.io/x", "//socket.io/", "/"))
    headers = chance.choice(
        (
            "",
            "",
            HANDSHAKE,
            "Origin: null\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 9\r\n",
        )
    )
    wire = f"{method} {path}?{query} HTTP/1.1\r\nHost: a\r\n{headers}\r\n".encode()
    return generator.mutated(wire) if chance.random() < 0.5 else wire


# Carried out


async def carry_out(attack: Attack, url: str) -> str:
    """Attack a server; returns what became of the connection, and raises what must not become of it."""
    wires = [await Wire.to(url)]
    try:
        return await asyncio.wait_for(_carry_out(attack, wires, url), PATIENCE)
    except asyncio.TimeoutError:
        raise AssertionError(f"not within {PATIENCE} s: {wires[-1].awaits}") from None
    finally:
        for wire in wires:
            wire.close()


async def _carry_out(attack: Attack, wires: list[Wire], url: str) -> str:
    (wire,) = wires
    chance = random.Random(repr(attack))  # noqa: S311 - nothing here is secret
    room = f"pit-{chance.randrange(ROOMS)}"
    if attack.carrier == "http":
        return await _http(wire, attack)
    if attack.carrier == "websocket":
        assert await upgrade(wire) == 101
        await hear(wire, b"0{")
        peer_id = await _enter_by_websocket(wire, attack.stage, room)
    else:
        sid = await begin_polling(wire)
        peer_id = await _enter_by_polling(wire, sid, attack.stage, room)
        if attack.carrier == "polling":
            return await _on_polling(wire, sid, attack, peer_id)
        wires.append(wire := await Wire.to(url))
        assert await upgrade(wire, sid) == 101
    became = await _on_websocket(wire, attack, peer_id)
    if became == "acked" and chance.random() < 0.5:
        wire.reset()
    return became


async def _http(wire: Wire, attack: Attack) -> str:
    for _, data in attack.pieces:
        await wire.send(data)
    wire.end()
    wire.awaits = "an answer, or the end"
    answer = await wire.some()
    assert not answer.startswith(b"HTTP/1.1 5"), answer
    return "answered" if answer else "dropped"


def _steps(stage: Stage, room: str) -> list[tuple[str, bytes]]:
    """Return what to send, and how the answer to it begins, up to that stage."""
    join = f'420["join_room",{{"room":"{room}"}}]'
    steps = [("40", b"40{"), (join, b'430[{"ok":true'), ("40/other,", b"40/other,")]
    return steps[: ("open", "connected", "joined", "everywhere").index(stage)]


async def _enter_by_websocket(wire: Wire, stage: Stage, room: str) -> str:
    answers = []
    for text, start in _steps(stage, room):
        await say(wire, text)
        answers.append(await hear(wire, start))
    return _id_in(answers)


async def _enter_by_polling(wire: Wire, sid: str, stage: Stage, room: str) -> str:
    answers = []
    for text, start in _steps(stage, room):
        assert await post(wire, sid, text.encode()) == 200
        answers.append(await _packet(wire, sid, start))
    return _id_in(answers)


def _id_in(answers: list[bytes]) -> str:
    """Find the peer's id in the answer to its CONNECT, which is the first."""
    return answers[0].decode().partition('"sid":"')[2].partition('"')[0] if answers else ""


async def _packet(wire: Wire, sid: str, start: bytes) -> bytes:
    """Poll until a packet begins like this; returns it, or nothing where the session has ended."""
    while True:
        status, packets = await poll(wire, sid)
        found = [each for each in packets if each.startswith(start)]
        if found:
            return found[0]
        if status != 200 or b"1" in packets:
            return b""
        if b"2" in packets:
            await post(wire, sid, b"3")


def _last_words(asks: Asks, peer_id: str) -> str:
    return "2" if asks == "the end" else f'42{ACK}["signal",{{"targetId":"{peer_id}","signal":0}}]'


async def _on_websocket(wire: Wire, attack: Attack, peer_id: str) -> str:
    for head, payload in attack.pieces:
        data = payload.replace(PEER.encode(), peer_id.encode())
        await wire.send(payload if head is None else framed(head, data))
    if attack.asks == "nothing":
        wire.end()
        await wire.rest(PATIENCE)
        return "ended"
    await say(wire, _last_words(attack.asks, peer_id))
    wire.awaits = f"{attack.asks}, or to be closed"
    with suppress(EOFError):
        while True:
            opcode, payload = await wire.frame()
            if opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big")
                assert code != INTERNAL_ERROR, "closed with 1011"
                return f"closed with {code}"
            if opcode == TEXT and payload.startswith(f"43{ACK}".encode()):
                return "acked"
            if payload == b"2":
                await say(wire, "3")
    return "gone"


async def _on_polling(wire: Wire, sid: str, attack: Attack, peer_id: str) -> str:
    bodies: Iterable[bytes] = (body.replace(PEER.encode(), peer_id.encode()) for _, body in attack.pieces)
    for body in (*bodies, _last_words(attack.asks, peer_id).encode()):
        status = await post(wire, sid, body)
        assert status in (200, 400), (status, body)
        if status != 200:
            status, _ = await poll(wire, sid)
            assert status == 400, "refused, and still there"
            return "refused"
    assert attack.asks != "the end", "not closed"
    return "acked" if await _packet(wire, sid, f"43{ACK}".encode()) else "over"
