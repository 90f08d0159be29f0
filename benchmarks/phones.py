"""The load: raw Engine.IO peers over WebSocket, many of them in one event loop."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

PATIENCE = 60.0
"""Seconds for anything to happen; a server that is slower has failed."""

PADDING = "x" * 900
"""It makes a signal 1 kB long, like the SDP of a voice call."""

TEXT = WSMsgType.TEXT

NEW_PEER = re.compile(rb'42\["new_peer",\{"peerId":"([^"]+)","role":"guard","userId":"[^"]+"')
"""What each server tells about a peer. A pattern reads it, because parsing JSON would limit the load."""


class Phone(WSListener):  # type: ignore[misc]  # picows is compiled
    """One peer on the default namespace, with what it is to do on a signal."""

    def __init__(self) -> None:
        self.peer_id = ""
        self.known: set[bytes] = set()
        self._roster = b""
        self.received = 0
        self.answer: bytes | None = None
        """What to send at once for each signal; the signal is not parsed, so that the load is not the limit."""
        self.answered = 0
        self.on_signal: Callable[[bytes], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed before it was connected"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.answer is not None and frame.payload_size > len(PADDING):
            self.answered += 1
            transport.send(TEXT, self.answer)
            return
        if frame.msg_type != WSMsgType.TEXT:
            return
        data = frame.get_payload_as_bytes()
        self.received += len(data)
        if data[:10] == b'42["signal' and self.on_signal is not None:
            self.on_signal(data)
        elif data == b"2":
            self.send(b"3")
        elif data[:1] == b"0":
            self.send(b"40")
        elif data[:2] == b"40":
            self.peer_id = json.loads(data[2:])["sid"]
            self.ready.set_result(None)
        elif data[:2] == b"42":
            self._heard(data)

    def _heard(self, data: bytes) -> None:
        if data[:16] == b'42["room_status"':
            self._roster = data
        else:
            found = NEW_PEER.match(data)
            if found is not None:
                self.known.add(found[1])
        if self.on_change is not None:
            self.on_change()

    @property
    def members(self) -> int:
        """How many members the last roster had; parsing each roster as it comes would limit the load."""
        return self._roster.count(b'"userId":')

    @property
    def roster(self) -> set[str]:
        """The user ids of the last roster; `join` makes them the peer ids."""
        return {member["userId"] for member in json.loads(self._roster[2:])[1]["members"]}

    def send(self, data: bytes) -> None:
        """Send one frame."""
        self.transport.send(WSMsgType.TEXT, data)

    def join(self, room: str) -> None:
        """Send ``join_room``."""
        payload = {"room": room, "role": "guard", "userId": self.peer_id}
        self.send(b"42" + json.dumps(["join_room", payload], separators=(",", ":")).encode())

    def close(self) -> None:
        """Close the connection."""
        self.transport.send_close()
        self.transport.disconnect()


Kind = TypeVar("Kind", bound=Phone)


async def connect(url: str, kind: type[Kind]) -> Kind:
    """Connect one peer of a kind to the default namespace."""
    address = f"ws{url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket"
    _, phone = await ws_connect(
        kind, address, read_buffer_init_size=2048, websocket_handshake_timeout=PATIENCE
    )
    await asyncio.wait_for(phone.ready, PATIENCE)
    return phone  # type: ignore[no-any-return]


async def connect_many(url: str, count: int, at_once: int = 50, *, kind: type[Kind] = Phone) -> list[Kind]:  # type: ignore[assignment]
    """Connect many peers of a kind, `at_once` of them at a time."""
    phones: list[Kind] = []
    for start in range(0, count, at_once):
        phones += await asyncio.gather(*(connect(url, kind) for _ in range(min(at_once, count - start))))
    return phones


async def until(phones: Sequence[Kind], condition: Callable[[Kind], bool]) -> None:
    """Wait until a condition holds for each peer; it is checked when the peer hears something."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = {id(phone) for phone in phones if not condition(phone)}

    def check(phone: Kind) -> None:
        if condition(phone):
            left.discard(id(phone))
            if not left and not done.done():
                done.set_result(None)

    for phone in phones:
        phone.on_change = lambda phone=phone: check(phone)  # type: ignore[misc]
    try:
        if left:
            await asyncio.wait_for(done, PATIENCE)
    except asyncio.TimeoutError:  # Python 3.10 has one of its own
        raise TimeoutError(f"{len(left)} of {len(phones)} peers wait in vain") from None
    finally:
        for phone in phones:
            phone.on_change = None


async def pair_up(url: str, pairs: int) -> list[tuple[Phone, Phone]]:
    """Connect pairs of peers, each pair in its own room."""
    phones = await connect_many(url, 2 * pairs)
    paired = list(zip(phones[::2], phones[1::2], strict=True))
    for number, (one, other) in enumerate(paired):
        one.join(f"pair-{number}")
        other.join(f"pair-{number}")
    await until(phones, lambda phone: len(phone.known) == 1)
    return paired


def close_all(phones: Sequence[Phone]) -> None:
    """Close many connections."""
    for phone in phones:
        phone.close()
