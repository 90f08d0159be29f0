"""What a host does with python-socketio's own API on the server that the signaling is on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hosts.ways import SERVERS
from support.servers import hosted
from support.stock import WITHIN, peers
from walkie_signal import attach


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    raise NotImplementedError


@pytest.fixture(params=[*SERVERS.values()], ids=[*SERVERS])
def sio(request: pytest.FixtureRequest) -> Any:
    return request.param()


async def test_emitting_and_calling(sio: Any) -> None:
    app = attach(nothing, sio=sio)
    async with hosted(app) as url, peers(url, "gate", "gate") as (one, two):
        await sio.emit("notice", {"to": "all"})
        for peer in (one, two):
            await peer.hears("notice", to="all")
        await sio.emit("notice", {"to": "one"}, to=one.peer_id)
        await one.hears("notice", to="one")
        await sio.send("plain", to=one.peer_id)
        assert await one.hears("message") == "plain"
        two.sio.on("question", lambda data: [data, "answer"])
        assert await sio.call("question", 1, to=two.peer_id, timeout=WITHIN) == [1, "answer"]
        assert ("notice", {"to": "one"}) not in two.heard


async def test_the_hosts_session_of_a_peer(sio: Any) -> None:
    sio.on("connect", lambda sid, _environ: sio.save_session(sid, {"name": "ann"}))
    app = attach(nothing, sio=sio)
    async with hosted(app) as url, peers(url, "gate") as (peer,):
        async with sio.session(peer.peer_id) as session:
            session["seen"] = True
        assert await sio.get_session(peer.peer_id) == {"name": "ann", "seen": True}


async def test_a_disconnect_by_the_host_is_a_kick(sio: Any) -> None:
    left = asyncio.Queue[tuple[str, str]]()
    app = attach(nothing, sio=sio, on_leave=lambda member, reason: put(left, (member.peer_id, reason)))
    async with hosted(app) as url, peers(url, "gate", "gate") as (stays, goes):
        gone = goes.peer_id
        await sio.disconnect(gone)
        assert (await stays.hears("peer_disconnected", peerId=gone))["reason"] == "kicked"
        await goes.hears("disconnect")
        assert await asyncio.wait_for(left.get(), WITHIN) == (gone, "kicked")


async def put(queue: asyncio.Queue[Any], item: Any) -> None:
    queue.put_nowait(item)


async def test_handlers_for_every_namespace(sio: Any) -> None:
    """python-socketio passes the namespace to these; they hide nothing of ours."""
    seen: list[tuple[Any, ...]] = []
    sio.on("connect", lambda namespace, _sid, _environ: seen.append(("connect", namespace)), namespace="*")
    sio.on(
        "disconnect", lambda namespace, _sid, _reason: seen.append(("disconnect", namespace)), namespace="*"
    )
    sio.on("*", lambda event, namespace, _sid, data: [event, namespace, data], namespace="*")
    app = attach(nothing, sio=sio)
    async with hosted(app) as url, peers(url, "gate", "gate") as (stays, goes):
        assert await stays.ask("anything", 1) == ["anything", "/", 1]
        assert await stays.signal(goes, 1) == {"ok": True}
        gone = goes.peer_id
        await goes.close()
        await stays.hears("peer_disconnected", peerId=gone)
    assert seen.count(("connect", "/")) == 2
    assert ("disconnect", "/") in seen


async def test_shutdown_leaves_nobody() -> None:
    """On our server; a stock one ends its own tasks by it, and closes no connection."""
    app = attach(nothing)
    async with hosted(app) as url, peers(url, "gate") as (peer,):
        await app.sio.shutdown()
        await peer.hears("disconnect")
        assert await app.signaling.rooms() == []
