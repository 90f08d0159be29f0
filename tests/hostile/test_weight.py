"""An event is weighed before it is parsed, and what waits is held as the text that came."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import socketio

from hostile.arena import arena
from hostile.services import ATTACHED, Kind, service
from support.peers import RawPeer, raw_peer
from support.raw import Frame
from support.servers import hosted
from support.waiting import becomes
from walkie_signal import Identity, Settings, SignalingNamespace, create_server
from walkie_signal.wire import frames

MB = 1_000_000
GARBAGE = "{" * 70_000
"""What is behind an event's name: whoever parses it finds that it is no JSON, and closes the connection."""


@pytest.mark.promise(
    "Bad input",
    "What is too large is refused before it is parsed; events, packets and attachments that wait are held "
    "as text, within a bound in bytes",
)
@ATTACHED
async def test_what_is_too_large_is_refused_before_it_is_parsed(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=3) as attacker:
        for name in ("join_room", "leave_room", "signal"):
            error = (await attacker.ask_text(f'["{name}",{GARBAGE}]'))["error"]
            assert error["code"] == "payload_too_large"
            assert error["limitBytes"] == 65_536
        await attacker.send(f'42["signal",{GARBAGE}]')
        assert (await attacker.event("signal_error"))["code"] == "payload_too_large"
        error = (await attacker.ask_text(f'["\\u0073ignal",{GARBAGE}]'))["error"]
        assert error["code"] == "payload_too_large", "the name may be written with escapes"
        fight.expected += 2


@pytest.mark.promise(
    "Bad input",
    "What is too large is refused before it is parsed; events, packets and attachments that wait are held "
    "as text, within a bound in bytes",
)
@ATTACHED
async def test_a_large_event_that_nobody_handles_is_not_parsed(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        assert (await attacker.ask_text(f'["nobody",{GARBAGE}]'))["error"]["code"] == "unknown_event"
        await attacker.send(f"4377[{GARBAGE}]")  # an ack that nobody asked for


LEADING_NOWHERE = {
    "an event before any CONNECT": (f'42["signal",{GARBAGE}]', "a namespace that is not joined"),
    "an event of another namespace": (f'42/nowhere,["signal",{GARBAGE}]', "a namespace that is not joined"),
    "attachments to nothing": (f'451-/nowhere,["signal",{GARBAGE}]', "a namespace that is not joined"),
    "a DISCONNECT with data": (f"41{GARBAGE}", "a kind that has no data"),
}


@pytest.mark.promise(
    "Bad input",
    "What is too large is refused before it is parsed; events, packets and attachments that wait are held "
    "as text, within a bound in bytes",
)
@pytest.mark.parametrize("what", LEADING_NOWHERE)
@ATTACHED
async def test_a_large_packet_whose_head_is_wrong_is_not_parsed(kind: Kind, what: str) -> None:
    packet, reason = LEADING_NOWHERE[what]
    async with service(kind) as running, raw_peer(running.url) as peer:
        await peer.send(packet)
        await peer.closed()
        (line,) = running.lines()
        assert reason in line.text


@pytest.mark.promise(
    "Bad input",
    "What is too large is refused before it is parsed; events, packets and attachments that wait are held "
    "as text, within a bound in bytes",
)
async def test_of_a_post_nothing_is_decoded_before_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    decode = frames._from_base64

    def counted(text: str) -> bytes:
        decoded.append(text)
        return decode(text)

    monkeypatch.setattr(frames, "_from_base64", counted)
    async with service("attach") as running, raw_peer(running.url, "polling") as peer:
        await peer.session.post(b"\x1e".join([b"40", *[b"b"] * 100_000]))
        assert peer.session.posted == 400
        assert len(decoded) == 1


async def test_a_large_event_of_the_host_s_reaches_it() -> None:
    heard: list[Any] = []
    sio = create_server(cors_allowed_origins="*")
    sio.register_namespace(SignalingNamespace())
    sio.on("upload", lambda _sid, data: heard.append(data))
    async with hosted(socketio.ASGIApp(sio)) as url, raw_peer(url) as peer:
        await peer.connect()
        await peer.send(f'42["upload",{json.dumps(["x" * 200_000, [{}] * 1000])}]')
        await becomes(lambda: len(heard), 1)
        assert heard == [["x" * 200_000, [{}] * 1000]]


@pytest.mark.promise(
    "Bad input",
    "What is too large is refused before it is parsed; events, packets and attachments that wait are held "
    "as text, within a bound in bytes",
)
@pytest.mark.parametrize("auth", [GARBAGE, "{" + "é" * 40_000], ids=["ASCII", "fewer characters than bytes"])
@ATTACHED
async def test_auth_that_is_too_large_is_refused_before_it_is_parsed(kind: Kind, auth: str) -> None:
    async with service(kind) as running, raw_peer(running.url) as peer:
        await peer.send(f"40{auth}")
        refusal = await peer.until(lambda frame: frame[:2] == "44", "CONNECT_ERROR")
        assert json.loads(refusal[2:])["data"]["code"] == "payload_too_large"
        await peer.join("gate")


@pytest.mark.promise(
    "Bad input",
    "What is too large is refused before it is parsed; events, packets and attachments that wait are held "
    "as text, within a bound in bytes",
)
@pytest.mark.parametrize("limit", [Settings.queued_bytes, 100_000])
@ATTACHED
async def test_what_waits_behind_a_join_is_bounded_in_bytes(kind: Kind, limit: int) -> None:
    """127 events of 63 KiB were 8 MB that a peer sent, and 187 MB that the server held."""
    opened = asyncio.Event()

    async def authorize(identity: Identity, room: str) -> bool:
        await opened.wait()
        return True

    settings = Settings(callback_timeout=30, queued_bytes=limit)
    async with (
        service(kind, settings=settings, authorize=authorize) as running,
        raw_peer(running.url) as peer,
    ):
        await peer.connect()
        await peer.send('421["join_room",{"room":"slow"}]')
        value = "[" + ",".join(["{}"] * 20_000) + "]"
        event = f'["signal",{{"targetId":"{peer.peer_id}","signal":{value}}}]'
        fit = limit // len(event)
        with held() as grown:
            await peer.send(*(f"42{number}{event}" for number in range(2, 129)))
            refused = [(await peer.acked(number))["error"]["code"] for number in range(2 + fit, 129)]
        assert set(refused) == {"rate_limited"}
        assert grown[0] < 2 * limit + 2 * MB, grown
        opened.set()
        assert (await peer.acked(1))["ok"] is True
        told = [await peer.acked(number) for number in range(2, 2 + fit)]
        assert told == [{"ok": True}] * fit


@contextmanager
def held() -> Iterator[list[int]]:
    """Measure by how many bytes the memory in use grows."""
    gc.collect()
    tracemalloc.start()
    grown: list[int] = []
    try:
        yield grown
        gc.collect()
        grown.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()


LISTS = ",".join(["{}"] * 20_000)

WAITING: dict[str, list[Frame]] = {
    "events before CONNECT is answered": ["40", *[f'42["x",[{LISTS}]]'] * 15],
    "a binary event before it": ["40", f'451-["x",{{"_placeholder":true,"num":0}},[{LISTS}]]', b"x"],
    "a binary event whose attachment never comes": [
        f'451-["x",{{"_placeholder":true,"num":0}},[{",".join([LISTS] * 15)}]]'
    ],
}


@pytest.mark.promise(
    "Bad input",
    "What is too large is refused before it is parsed; events, packets and attachments that wait are held "
    "as text, within a bound in bytes",
)
@pytest.mark.parametrize("what", WAITING)
async def test_packets_that_wait_are_held_as_text(what: str) -> None:
    """Of a million bytes of empty objects Python makes 25 million."""
    sio = create_server(cors_allowed_origins="*")
    opened, heard = asyncio.Event(), list[Any]()

    async def connect(sid: str, environ: Any) -> None:
        if WAITING[what][0] == "40":
            await opened.wait()

    sio.on("connect", connect)
    sio.on("x", lambda _sid, *data: heard.append(data))
    frames = WAITING[what]
    async with hosted(socketio.ASGIApp(sio)) as url, raw_peer(url) as peer:
        if frames[0] != "40":
            await peer.connect()
        with held() as grown:
            await _sent(sio, peer, frames)
        assert grown[0] < 5 * MB, grown
        opened.set()
        if frames[0] == "40":
            events = sum(str(frame)[:2] in ("42", "45") for frame in frames)
            await becomes(lambda: len(heard), events, within=20)
            assert {len(data[-1]) for data in heard} == {20_000}


async def _sent(sio: Any, peer: RawPeer, frames: list[Frame]) -> None:
    """Send frames, and wait until the server has taken all of them."""
    taken, take = 0, sio.receive_message

    def count(*arguments: Any) -> None:
        nonlocal taken
        taken += 1
        take(*arguments)

    sio.receive_message = count
    await peer.send(*frames)
    await becomes(lambda: taken, len(frames), within=20)
