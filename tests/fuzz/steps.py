"""What thousands of peers do on one connection each, as good ones would: by hand, and quick."""

from __future__ import annotations

import json

from support.frames import FIN, TEXT, framed
from support.heads import POLLING, UPGRADE, WEBSOCKET
from support.wire import Wire


async def say(wire: Wire, text: str) -> None:
    """Send a text message."""
    await wire.send(framed(FIN | TEXT, text.encode()))


async def hear(wire: Wire, start: bytes) -> bytes:
    """Return the next text message that begins like this; pings of Engine.IO are answered."""
    wire.awaits = f"a message that begins with {start!r}"
    while True:
        opcode, payload = await wire.frame()
        if opcode == TEXT and payload.startswith(start):
            return payload
        if payload == b"2":
            await say(wire, "3")


async def upgrade(wire: Wire, sid: str = "") -> int:
    """Open a WebSocket, for a new session or for one that polls; returns the status."""
    target = f"{WEBSOCKET}&sid={sid}" if sid else WEBSOCKET
    return (await wire.request("GET", target, lines=UPGRADE))[0]


async def begin_polling(wire: Wire) -> str:
    """Open a session that polls; returns its sid."""
    status, body = await wire.request("GET", POLLING)
    assert status == 200, (status, body)
    sid: str = json.loads(body[1:])["sid"]
    return sid


async def poll(wire: Wire, sid: str) -> tuple[int, list[bytes]]:
    """Poll; returns the status and the packets."""
    status, body = await wire.request("GET", f"{POLLING}&sid={sid}")
    return status, body.split(b"\x1e")


async def post(wire: Wire, sid: str, body: bytes) -> int:
    """POST packets; returns the status."""
    return (await wire.request("POST", f"{POLLING}&sid={sid}", body))[0]
