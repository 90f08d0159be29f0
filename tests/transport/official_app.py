"""The two servers that the official cases ask for, in one app: Engine.IO on /engine.io/, Socket.IO on /socket.io/.

Pings every 300 ms, 200 ms to answer, 1,000,000 bytes, a second to join. Engine.IO echoes; Socket.IO emits
``auth`` with what CONNECT brought, answers ``message`` with ``message-back``, acks ``message-with-ack``, and has
``/custom``.
"""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import engineio
import socketio

from walkie_signal.transport import create_server

INTERVAL, TIMEOUT, CONNECT_TIMEOUT = 0.3, 0.2, 1.0


def make_server(*, hand_over: bool = False) -> Any:
    return create_server(
        ping_interval=INTERVAL,
        ping_timeout=TIMEOUT,
        connect_timeout=CONNECT_TIMEOUT,
        cors_allowed_origins="*",
        hand_over=hand_over,
    )


def make_engine(*, hand_over: bool = False) -> Any:
    """Make the server of the Engine.IO cases."""
    eio = make_server(hand_over=hand_over).eio
    for event in ("connect", "disconnect"):  # python-socketio's, beneath which it stands
        eio.on(event, lambda *_: None)

    @eio.on("message")
    async def message(sid: str, data: Any) -> None:
        await eio.send(sid, data)

    return eio


def answer_on(sio: Any) -> Any:
    """Let a server answer as the Socket.IO cases ask."""
    for namespace in ("/", "/custom"):

        @sio.on("connect", namespace=namespace)
        async def connect(sid: str, environ: dict[str, Any], auth: Any, namespace: str = namespace) -> None:
            await sio.emit("auth", auth or {}, to=sid, namespace=namespace)

    @sio.on("message")
    async def message(sid: str, *arguments: Any) -> None:
        await sio.emit("message-back", arguments, to=sid)

    @sio.on("message-with-ack")
    async def message_with_ack(sid: str, *arguments: Any) -> Any:
        return arguments

    return sio


def make_app(*, hand_over: bool = False) -> Any:
    sio = answer_on(make_server(hand_over=hand_over))
    return engineio.ASGIApp(make_engine(hand_over=hand_over), socketio.ASGIApp(sio))


def one_of_several() -> Any:
    """Make the app of one of several workers."""
    return make_app(hand_over=True)


app = make_app()
