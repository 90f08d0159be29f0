"""The server that the migration plan sketched: plain python-socketio, completed with the roster."""

from __future__ import annotations

from typing import Any

import socketio

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
peers: dict[str, dict[str, Any]] = {}


async def push_status(room: str) -> None:
    members = [
        {"userId": each["userId"], "role": each["role"]} for each in peers.values() if each["room"] == room
    ]
    await sio.emit("room_status", {"members": members}, room=room)


@sio.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    """Let everybody in."""


@sio.event
async def join_room(sid: str, data: dict[str, Any]) -> None:
    room = data["room"]
    mine = {"room": room, "role": data.get("role"), "userId": data.get("userId")}
    peers[sid] = mine
    await sio.enter_room(sid, room)
    announced = {"peerId": sid, "role": mine["role"], "userId": mine["userId"]}
    await sio.emit("new_peer", announced, room=room, skip_sid=sid)
    for other, theirs in list(peers.items()):
        if other != sid and theirs["room"] == room:
            known = {"peerId": other, "role": theirs["role"], "userId": theirs["userId"]}
            await sio.emit("new_peer", known, to=sid)
    await push_status(room)


@sio.event
async def signal(sid: str, data: dict[str, Any]) -> None:
    await sio.emit("signal", {"fromId": sid, "signal": data.get("signal")}, to=data["targetId"])


@sio.event
async def disconnect(sid: str) -> None:
    gone = peers.pop(sid, None)
    if gone is not None:
        await sio.emit("peer_disconnected", {"peerId": sid}, room=gone["room"])
        await push_status(gone["room"])


app = socketio.ASGIApp(sio)
