"""A host with a walkie-talkie of its own, as the first host writes it; a route asks its server for anything."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI, Request

from walkie_signal import attach, create_server


def make(backend: Any, **options: Any) -> Any:
    """Return the host's app; its server is ``app.sio``."""
    sio: Any = create_server(cors_allowed_origins="*", **options)
    api = FastAPI()

    @sio.event  # type: ignore[untyped-decorator]
    async def connect(_sid: str, _environ: dict[str, Any], auth: Any) -> None:
        if auth == {"token": "wrong"}:
            raise ConnectionRefusedError("a wrong token")

    @sio.event  # type: ignore[untyped-decorator]
    async def join_channel(sid: str, channel: str) -> int:
        await sio.enter_room(sid, channel)
        return os.getpid()

    @sio.event  # type: ignore[untyped-decorator]
    async def voice_stream(sid: str, channel: str, audio: bytes) -> None:
        await sio.emit("voice_stream", {"from": sid, "audio": audio}, room=channel, skip_sid=sid)

    @sio.event  # type: ignore[untyped-decorator]
    async def leave_channel(sid: str, channel: str) -> None:
        await sio.leave_room(sid, channel)

    @sio.event  # type: ignore[untyped-decorator]
    async def flood(_sid: str, channel: str, number: int, size: int) -> None:
        emits = (sio.emit("flood", [each, bytes(size)], room=channel) for each in range(number))
        await asyncio.gather(*emits)

    @api.post("/emergency")
    async def emergency(request: Request) -> None:
        await sio.emit("emergency_broadcast", await request.json())

    @api.post("/ask/{call}")
    async def ask(call: str, request: Request) -> dict[str, Any]:
        try:
            return {"answer": await getattr(sio, call)(**await request.json())}
        except Exception as error:  # noqa: BLE001 - the test wants to see it
            return {"error": f"{type(error).__name__}: {error}"}

    return attach(api, sio=sio, backend=backend)


def app() -> Any:
    """Make the app for uvicorn's ``--factory``; it keeps what a flood brings for clients."""
    return make(os.environ.get("BACKEND"), outbox_bytes=100_000_000)
