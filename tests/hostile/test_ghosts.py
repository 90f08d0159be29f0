"""Whatever becomes of a connection while it is let in or while it ends, nothing of it stays."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from hostile.arena import arena
from hostile.services import IN_PROCESS, OWN_FAULT, Kind, service
from support.limits import unlimited
from support.peers import RawPeer, raw_peer
from support.raw import RawPolling, Transport
from support.waiting import becomes
from walkie_signal import Credentials, Identity, Member, Settings
from walkie_signal.bounded_log import MOST

MANY = 100


def counted(sio: Any) -> Counter[str]:
    """Count the calls of a host's own connect and disconnect."""
    calls: Counter[str] = Counter()
    sio.on("connect", lambda sid, environ, auth: calls.update(["connect"]))
    sio.on("disconnect", lambda sid, reason: calls.update(["disconnect"]))
    return calls


async def _no_pong(peer: RawPeer) -> None:
    peer.pongs = False


WAYS: dict[str, tuple[Transport, float, Callable[[Any], Awaitable[Any]]]] = {
    "abort": ("websocket", 10, lambda peer: peer.abort()),
    "CLOSE on a WebSocket": ("websocket", 10, lambda peer: peer.send("1")),
    "CLOSE over polling": ("polling", 2, lambda peer: peer.send("1")),
    "no pong on a WebSocket": ("websocket", 0.2, _no_pong),
}
"""How it goes: the transport, the server's ping interval and timeout, and what is done."""


def _begin(kind: Kind, ghost: Any) -> Awaitable[Any]:
    if kind == "stock" and isinstance(ghost.session, RawPolling):
        # The POST is answered once the CONNECT is: `send` would hold up the next one for as long
        return ghost.session.beside("40")
    sending: Awaitable[None] = ghost.send("40")
    return sending


@pytest.mark.promise(
    "Bad input",
    "If 100 peers abort, close or fall silent while they are let in, or their `connect` fails or is "
    "cancelled, nothing of them is left after 2 s",
)
@IN_PROCESS
@pytest.mark.parametrize("way", WAYS)
async def test_who_goes_while_it_is_let_in_leaves_no_ghost(kind: Kind, way: str) -> None:
    """Defect 2: python-socketio then keeps it for good, and never tells that it has gone."""
    decided, asked = asyncio.Event(), 0

    async def authenticate(_: Credentials) -> Identity:
        nonlocal asked
        asked += 1
        await decided.wait()
        return Identity(7)

    transport, ping, go = WAYS[way]
    settings = Settings(ping_interval=ping, ping_timeout=ping, callback_timeout=30)
    async with (
        service(kind, settings=settings, authenticate=authenticate) as running,
        AsyncExitStack() as peers,
    ):
        calls, peace = counted(running.sio), running.state()
        ghosts = [await peers.enter_async_context(raw_peer(running.url, transport)) for _ in range(MANY)]
        connecting = asyncio.gather(*(_begin(kind, ghost) for ghost in ghosts))
        await becomes(lambda: asked, MANY)
        await asyncio.gather(*map(go, ghosts))
        if kind != "stock" or ping < 10:  # a stock server reads no WebSocket before it has decided
            await becomes(lambda: [*running.sio.environ], [], within=5)
        decided.set()
        await connecting
        await peers.aclose()
        # A stock server finds by a sweep of its own that it has been left over polling
        await becomes(running.state, peace, within=5 if kind == "stock" else 2)
        assert calls == {"connect": MANY, "disconnect": MANY}
        assert await running.signaling.send(7, "event") == 0
        # A stock server has tracebacks of its own for polls and POSTs that race with the end
        assert not [line for line in running.lines() if kind != "stock" or "walkie_signal" in line.text]


@IN_PROCESS
async def test_who_leaves_the_namespace_while_it_is_let_in_leaves_no_ghost(kind: Kind) -> None:
    decided = asyncio.Event()

    async def authenticate(_: Credentials) -> Identity:
        await decided.wait()
        return Identity(7)

    async with service(kind, authenticate=authenticate) as running, AsyncExitStack() as peers:
        calls, peace = counted(running.sio), running.state()
        for _ in range(MANY):
            ghost = await peers.enter_async_context(raw_peer(running.url))
            await ghost.send("40", "41")
        decided.set()
        await becomes(lambda: calls["connect"], MANY)
        await peers.aclose()
        await becomes(running.state, peace, within=2)
        assert calls == {"connect": MANY, "disconnect": MANY}


@pytest.mark.promise(
    "Bad input",
    "If 100 peers abort, close or fall silent while they are let in, or their `connect` fails or is "
    "cancelled, nothing of them is left after 2 s",
)
@IN_PROCESS
@pytest.mark.parametrize("fault", [RuntimeError, TypeError, KeyError, asyncio.CancelledError])
async def test_a_connect_that_fails_is_answered_and_leaves_nothing(
    kind: Kind, fault: type[BaseException]
) -> None:
    """Defect 3: python-socketio answers nothing, and keeps the connection in its tables."""

    async def authenticate(_: Credentials) -> Identity:
        raise fault(OWN_FAULT)

    async with service(kind, authenticate=authenticate) as running:
        calls, peace = counted(running.sio), running.state()
        for _ in range(MANY):
            async with raw_peer(running.url) as peer:
                told = await peer.connect()
                assert told["data"]["code"] == "internal", told
                assert OWN_FAULT not in str(told)
        await becomes(running.state, peace, within=2)
        assert calls == {"connect": MANY, "disconnect": MANY}
        assert len(running.lines()) == MOST
        assert all(line.traceback for line in running.lines())


@pytest.mark.promise(
    "Bad input",
    "If 100 peers abort, close or fall silent while they are let in, or their `connect` fails or is "
    "cancelled, nothing of them is left after 2 s",
)
@IN_PROCESS
@pytest.mark.parametrize("fault", [TypeError, asyncio.CancelledError])
async def test_a_connect_of_the_host_that_fails_is_answered_and_leaves_nothing(
    kind: Kind, fault: type[BaseException]
) -> None:
    async with service(kind) as running:
        peace = running.state()

        async def connect(sid: str, environ: Any, auth: Any) -> None:
            raise fault(OWN_FAULT)

        running.sio.on("connect", connect)
        for _ in range(MANY):
            async with raw_peer(running.url) as peer:
                told = await peer.connect()
                assert told["data"]["code"] == "internal", told
        await becomes(running.state, peace, within=2)
        assert len(running.lines()) == MOST


@IN_PROCESS
async def test_a_connect_too_slow_is_answered_and_leaves_nothing(kind: Kind) -> None:
    async def authenticate(_: Credentials) -> Identity:
        await asyncio.Event().wait()
        raise AssertionError

    async with service(kind, settings=Settings(callback_timeout=0.1), authenticate=authenticate) as running:
        peace = running.state()
        async with raw_peer(running.url) as peer:
            assert (await peer.connect())["data"]["code"] == "internal"
        await becomes(running.state, peace)


@IN_PROCESS
async def test_a_refused_connection_leaves_nothing(kind: Kind) -> None:
    async with service(kind, settings=unlimited(), authenticate=lambda credentials: None) as running:
        calls, peace = counted(running.sio), running.state()
        for auth in (
            None,
            {},
            {"token": "x"},
            {"token": ["x"]},
            {"token": {"sub": 1}},
            {"token": "\ud800"},
        ) * 5:
            async with raw_peer(running.url) as peer:
                assert (await peer.connect(auth))["data"]["code"] == "unauthorized"
                assert peer.peer_id == ""
        await becomes(running.state, peace)
        assert calls == {"connect": 30, "disconnect": 30}
        line = "INFO walkie_signal: connect refused: unauthorized (from 127.0.0.1)"
        assert [each.text for each in running.lines()] == [line] * MOST


@pytest.mark.promise(
    "Bad input",
    "100 faults in each of the host's functions are answered with coded errors, and leave nothing behind",
)
@IN_PROCESS
@pytest.mark.parametrize("fault", [TypeError, asyncio.CancelledError])
async def test_a_disconnect_of_the_host_that_fails_leaves_nothing(
    kind: Kind, fault: type[BaseException]
) -> None:
    """Defect 4: python-socketio then keeps the connection, and skips its other namespaces."""
    async with arena(kind) as fight:
        others: list[str] = []
        sio = fight.service.sio

        async def disconnect(sid: str, reason: str) -> None:
            if sid != fight.bystander.peer_id:
                raise fault(OWN_FAULT)

        async def disconnect_other(sid: str, reason: str) -> None:
            others.append(sid)
            if kind != "stock":  # a stock server keeps what is not on our namespace
                raise RuntimeError(OWN_FAULT)

        sio.on("disconnect", disconnect)
        sio.on("connect", lambda sid, environ: None, namespace="/other")
        sio.on("disconnect", disconnect_other, namespace="/other")
        for _ in range(MANY):
            async with raw_peer(fight.url) as peer:
                await peer.join("yard")
                await peer.send("40/other,")
                await peer.until(lambda frame: frame.startswith("40/other,"))
        await becomes(fight.service.state, fight._peace, within=2)
        assert len(others) == MANY
        assert await fight.service.signaling.rooms() == ["gate"]
        fight.expected = MANY if kind == "stock" else 2 * MANY


class FaultyHost:
    """A host all of whose functions raise, but `authorize` for the room ``yard``; counts the hooks' calls."""

    def __init__(self) -> None:
        self.hooked: Counter[str] = Counter()

    async def authorize(self, identity: Identity, room: str) -> bool:
        if room == "cancelled":
            raise asyncio.CancelledError(OWN_FAULT)
        if room == "forbidden":
            raise RuntimeError(OWN_FAULT)
        return True

    def on_join(self, member: Member) -> None:
        self.hooked["on_join"] += 1
        raise RuntimeError(OWN_FAULT)

    async def on_leave(self, member: Member, reason: str) -> None:
        self.hooked["on_leave"] += 1
        raise RuntimeError(OWN_FAULT)

    async def event(self, sid: str, data: Any) -> None:
        raise KeyError(OWN_FAULT)

    def not_async(self, sid: str, data: Any) -> None:
        raise TypeError(OWN_FAULT)

    async def catch_all(self, event: str, sid: str, data: Any) -> None:
        raise ConnectionRefusedError(OWN_FAULT)


FAULTY: list[list[Any]] = [
    ["join_room", {"room": "forbidden"}],
    ["join_room", {"room": "cancelled"}],
    ["own", 1],
    ["not_async", 1],
    ["caught by the catch-all", 1],
]


@pytest.mark.promise(
    "Bad input",
    "100 faults in each of the host's functions are answered with coded errors, and leave nothing behind",
)
@IN_PROCESS
async def test_a_fault_of_the_hosts_functions_is_answered_and_loses_nothing(kind: Kind) -> None:
    """Check of every function: authorize, the hooks, and events of the host's own."""
    host = FaultyHost()
    hooks: dict[str, Any] = {"on_join": host.on_join, "on_leave": host.on_leave}
    async with service(kind, authorize=host.authorize, **hooks) as running:
        peace = running.state()
        for name, function in {"own": host.event, "not_async": host.not_async, "*": host.catch_all}.items():
            running.sio.on(name, function)
        for _ in range(MANY):
            async with raw_peer(running.url) as peer:
                await peer.connect()
                for event in FAULTY:
                    answer = await peer.ask(*event)
                    assert answer["error"]["code"] == "internal", (event, answer)
                    assert OWN_FAULT not in str(answer)
                    await peer.send(f"42{json.dumps(event)}")
                    error = await peer.event("signal_error")
                    assert (error["event"], error["code"]) == (event[0], "internal"), error
                answer = await peer.ask("own", 1, 2, 3)
                assert answer["error"]["code"] == "invalid_payload"
                await peer.join("yard")
        await becomes(lambda: host.hooked, {"on_join": MANY, "on_leave": MANY})
        await becomes(running.state, peace, within=2)
        kinds = Counter(line.text.partition(": ")[2] for line in running.lines())
        assert {kind: kinds[kind] for kind in ("authorize failed", "on_join failed", "on_leave failed")} == {
            "authorize failed": MOST,
            "on_join failed": MOST,
            "on_leave failed": MOST,
        }
        assert len(running.lines()) == 4 * MOST, kinds
