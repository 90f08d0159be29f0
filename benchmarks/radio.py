"""A host with rooms of its own, as one node of several: ``uvicorn radio:app``."""

from __future__ import annotations

import os
from typing import Any

from host import nothing

from walkie_signal import attach, create_server

sio: Any = create_server()


@sio.event  # type: ignore[untyped-decorator]
async def enter(sid: str, room: str) -> None:
    """Let a client enter a room, and tell it when it is in."""
    await sio.enter_room(sid, room)
    await sio.emit("entered", to=sid)


@sio.event  # type: ignore[untyped-decorator]
async def shout(sid: str, room: str, data: Any) -> None:
    """Emit what a client says to the others in a room."""
    await sio.emit("shout", data, room=room, skip_sid=sid)


app = attach(nothing, sio=sio, backend=os.environ["BACKEND"])
