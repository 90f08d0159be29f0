"""Emits reach other nodes on a server that was made in any of our ways, wherever signaling is mounted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import socketio
from fastapi import FastAPI

from emits.listeners import Host, listening
from support.servers import hosted
from support.waiting import eventually
from walkie_signal import SignalingMiddleware, SignalingNamespace, attach, create_server


def attached(backend: str) -> Any:
    return attach(FastAPI(), backend=backend)


def in_the_middle(backend: str) -> Any:
    return SignalingMiddleware(FastAPI(), backend=backend)


def by_the_namespace(backend: str) -> Any:
    sio = create_server()
    signaling = SignalingNamespace(backend=backend)
    sio.register_namespace(signaling)
    app = socketio.ASGIApp(sio)
    app.sio, app.signaling = sio, signaling
    return app


def beside_signaling(backend: str) -> Any:
    """Signaling is on a namespace of its own."""
    return attach(FastAPI(), backend=backend, namespace="/radio")


class Elsewhere(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """A client manager of the host's own."""


WAYS = [attached, in_the_middle, by_the_namespace, beside_signaling]


@pytest.mark.promise(
    "Hosts", "Emits reach other nodes on each server that we make, whatever way it is mounted"
)
@pytest.mark.parametrize("make", WAYS, ids=lambda make: make.__name__)
async def test_an_emit_reaches_the_other_node(make: Callable[[str], Any], machine: str) -> None:
    async with AsyncExitStack() as stack:
        hosts = []
        for _ in range(2):
            app = make(machine)
            app.sio.on("connect", lambda _sid, _environ: None)
            url = await stack.enter_async_context(hosted(app))
            host = Host(app, url, [await stack.enter_async_context(listening(url))])
            if make is by_the_namespace:  # nothing starts it but its first connection
                await host.app.signaling.start()
                stack.push_async_callback(host.app.signaling.close)
            await eventually(host.ready)
            hosts.append(host)
        one, other = hosts
        await one.reaches(other.clients[0])
        await one.sio.enter_room(other.clients[0].sid, "ward")
        await one.sio.emit("told", 1, room="ward")
        await other.clients[0].hears("told", 1)
        assert await other.sio.call("nothing", to=one.clients[0].sid, timeout=0.5) is None


@pytest.mark.parametrize(
    ("server", "backend", "warned"),
    [
        (socketio.AsyncServer, "machine:", 1),
        (socketio.AsyncServer, "memory", 0),
        (lambda **options: socketio.AsyncServer(client_manager=Elsewhere(), **options), "machine:", 0),
        (create_server, "machine:", 0),
    ],
    ids=["stock", "alone", "with a manager", "ours"],
)
def test_a_stock_server_that_others_do_not_hear_says_so(
    server: Callable[..., Any], backend: str, warned: int, machine: str, caplog: pytest.LogCaptureFixture
) -> None:
    attach(FastAPI(), sio=server(async_mode="asgi"), backend=machine if backend == "machine:" else backend)
    assert caplog.text.count("reaches the clients of this process alone") == warned
