"""Coming and going on the transport: whoever connects is disconnected once, and nothing of a connection stays."""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import operator
from typing import Any

import pytest
import socketio

from support.waiting import eventually
from transport.serving import left, nothing_left, poll_waits, serving
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("_each_websocket_class")


class Gate:
    """A connect handler that waits until it is told how to end, and counts."""

    def __init__(self, sio: Any, verdict: Any = None) -> None:
        self.sio = sio
        self.verdict = verdict
        self.open = asyncio.Event()
        self.entered = asyncio.Event()
        self.disconnects: list[str] = []
        sio.on("connect", self.connect)
        sio.on("disconnect", self.disconnect)

    async def connect(self, sid: str, environ: Any) -> Any:
        self.entered.set()
        await self.open.wait()
        if isinstance(self.verdict, BaseException):
            raise self.verdict
        return self.verdict

    async def disconnect(self, sid: str, reason: str) -> None:
        self.disconnects.append(reason)


@pytest.mark.parametrize("how", ["abort", "close", "leave", "silence"])
@pytest.mark.parametrize(
    ("verdict", "disconnects"),
    [
        (None, 1),
        (False, 0),
        (ConnectionRefusedError("no"), 0),
        (ValueError("fault"), 0),
        (asyncio.CancelledError(), 0),
    ],
    ids=["accepts", "refuses", "raises a refusal", "fails", "is cancelled"],
)
async def test_no_ghost_stays_of_who_goes_while_connecting(how: str, verdict: Any, disconnects: int) -> None:
    """python-socketio keeps such a socket for good, and calls no disconnect handler."""
    sio = create_server(ping_interval=0.2, ping_timeout=0.1)
    gate = Gate(sio, verdict)
    async with serving(sio) as client, client.opened() as socket:
        await socket.send("40")
        await asyncio.wait_for(gate.entered.wait(), 2)
        (connection,) = sio.eio.sockets.values()
        if how == "abort":
            socket.abort()
        elif how == "close":
            await socket.close()
        elif how == "leave":
            await socket.send("1")
        await eventually(lambda: connection.closed, what="closed", within=2)
        gate.open.set()
        await nothing_left(sio)
        assert len(gate.disconnects) == disconnects


async def test_who_leaves_while_connecting_has_left() -> None:
    sio = create_server()
    gate = Gate(sio)
    async with serving(sio) as client, client.opened() as socket:
        await socket.send("40", "41")
        await asyncio.wait_for(gate.entered.wait(), 2)
        gate.open.set()
        assert str(await socket.message()).startswith("40{")
        await nothing_left_but_the_session(sio)
        assert gate.disconnects == ["client disconnect"]
        await socket.send("40")
        assert str(await socket.message()).startswith("40{"), "it may join again"


async def nothing_left_but_the_session(sio: Any) -> None:
    await eventually(lambda: sio.manager.rooms, operator.not_, "empty", within=2)


@pytest.mark.parametrize("always_connect", [False, True])
async def test_a_connect_handler_that_fails_is_answered(
    caplog: pytest.LogCaptureFixture, *, always_connect: bool
) -> None:
    sio = create_server(always_connect=always_connect)

    @sio.on("connect")
    async def connect(sid: str, environ: Any) -> None:
        raise KeyError("a fault of the host's")

    async with serving(sio) as client, client.opened() as socket:
        await socket.send("40")
        if always_connect:
            assert str(await socket.message()).startswith("40{")
        answer = str(await socket.message())
        assert answer.startswith("41" if always_connect else '44{"message":"internal error"')
        assert '"code":"internal"' in answer
        assert "fault of the host" not in answer
        await nothing_left_but_the_session(sio)
    await nothing_left(sio)
    assert "a connect handler failed" in caplog.text


async def test_a_type_error_in_a_handler_is_not_a_reason_to_call_it_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sio = create_server()
    calls: list[str] = []

    @sio.on("connect")
    async def connect(sid: str, environ: Any, auth: Any = None) -> None:
        calls.append("connect")

    @sio.on("disconnect")
    async def disconnect(sid: str, reason: str = "") -> None:
        calls.append("disconnect")
        raise TypeError("a fault of the host's")

    async with serving(sio) as client, client.joined():
        pass
    await nothing_left(sio)
    assert calls == ["connect", "disconnect"]
    assert "a disconnect handler failed" in caplog.text


async def test_older_handlers_without_auth_and_reason_are_called_as_ever() -> None:
    sio = create_server()
    calls: list[tuple[str, ...]] = []

    class Older(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio has no types
        def on_connect(self, sid: str, environ: Any) -> None:
            calls.append(("connect", environ["REMOTE_ADDR"]))

        def on_disconnect(self, sid: str) -> None:
            calls.append(("disconnect",))

    sio.register_namespace(Older("/older"))
    async with serving(sio) as client, client.joined('40/older,{"token":"x"}'):
        pass
    await nothing_left(sio)
    assert calls == [("connect", "127.0.0.1"), ("disconnect",)]


async def test_a_disconnect_handler_that_fails_keeps_no_other_from_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sio = create_server()
    told: list[str] = []
    for namespace in ("/a", "/b"):

        @sio.on("disconnect", namespace=namespace)
        async def disconnect(sid: str, reason: str, namespace: str = namespace) -> None:
            told.append(namespace)
            raise ValueError("a fault of the host's")

    async with serving(sio) as client, client.joined("40/a") as socket:
        await socket.send("40/b")
        assert str(await socket.message()).startswith("40/b,")
    await nothing_left(sio)
    assert sorted(told) == ["/a", "/b"]


async def test_a_disconnect_handler_finds_the_session_and_environ() -> None:
    sio = create_server()
    found: list[Any] = []

    @sio.on("connect")
    async def connect(sid: str, environ: Any) -> None:
        await sio.save_session(sid, {"user": 7})
        found.append(environ)

    @sio.on("disconnect")
    async def disconnect(sid: str, reason: str) -> None:
        found.append(await sio.get_session(sid))
        found.append(sio.get_environ(sid))

    async with serving(sio) as client, client.joined():
        pass
    await nothing_left(sio)
    assert found[1] == {"user": 7}
    assert found[2] is found[0]


async def test_a_kick_closes_the_transport() -> None:
    """With python-socketio a kicked client that says CONNECT again is back."""
    sio = create_server()
    async with serving(sio) as client, client.joined() as socket:
        (sid,) = sio.manager.rooms["/"][None]
        await asyncio.wait_for(sio.disconnect(sid), 1)
        assert await socket.receive() == "41"
        assert await socket.closed(1) == 1000
    await nothing_left(sio)


async def test_a_kick_reaches_a_poll_that_comes_later() -> None:
    sio = create_server()
    async with serving(sio) as client:
        sid = await client.joined_polling()
        (socket_sid,) = sio.manager.rooms["/"][None]
        await sio.disconnect(socket_sid)
        await nothing_left(sio)
        assert (await client.post(sid, "40")).text == "ok"
        assert (await client.get(sid)).text == "41"
        assert (await client.get(sid)).text == "1"
        assert (await client.get(sid)).status_code == 400
        assert left(sio) == []


async def test_a_namespace_stays_closed_to_who_was_kicked_from_it() -> None:
    sio = create_server(namespaces=["/", "/other"])
    async with serving(sio) as client, client.joined() as socket:
        await socket.send("40/other")
        assert str(await socket.message()).startswith("40/other,")
        (sid,) = sio.manager.rooms["/"][None]
        await sio.disconnect(sid)
        assert await socket.message() == "41"
        await socket.send('42["on","its","way"]', "40")
        assert str(await socket.message()).startswith("44{")
        assert list(sio.manager.rooms) == ["/other"]


async def test_disconnecting_nobody_disconnects_nobody() -> None:
    """To python-engineio ``None``, which a look-up of a peer that left gives, is everybody."""
    sio = create_server()
    await sio.eio.disconnect()
    async with serving(sio) as client, client.joined() as socket:
        await sio.eio.disconnect(sio.manager.eio_sid_from_sid("nobody", "/"))
        await sio.eio.disconnect("nobody")
        await sio.disconnect("nobody")
        await socket.send('421["x"]')
        await sio.eio.disconnect()
        assert await socket.closed(1) == 1000
    await nothing_left(sio)


@pytest.mark.promise("The transport", "A silent peer is noticed; a connection that joins nothing is closed")
async def test_who_joins_nothing_is_closed() -> None:
    sio = create_server(connect_timeout=0.3)
    async with serving(sio) as client, client.opened() as never, client.joined() as left_again:
        sid = (await client.open())["sid"]
        await left_again.send("41")
        assert await never.closed(1) == 1000
        assert await left_again.closed(1.5) == 1000
        await nothing_left(sio)
        assert (await client.get(sid)).status_code == 400


@pytest.mark.promise("The transport", "A silent peer is noticed; a connection that joins nothing is closed")
async def test_a_silent_peer_is_noticed_and_only_that_one() -> None:
    sio = create_server(ping_interval=0.3, ping_timeout=0.2)
    reasons: list[str] = []
    sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    async with serving(sio) as client, client.joined() as silent, client.joined() as lively:
        living = asyncio.create_task(lively.closed(2))
        await silent.closed(2, ponging=False)
        while len(lively.seen) < 6:
            await asyncio.wait({living}, timeout=0.05)
            assert not living.done()
        assert reasons == ["ping timeout"]
        living.cancel()


async def test_pongs_that_nobody_asked_for_keep_nobody_alive() -> None:
    sio = create_server(ping_interval=0.3, ping_timeout=0.2)
    async with serving(sio) as client, client.joined() as socket:
        await socket.send(*["3"] * 50)
        await socket.closed(1, ponging=False)


async def test_shutting_down_waits_for_no_connection() -> None:
    sio = create_server()
    async with serving(sio) as client, client.joined() as socket:
        sid = (await client.open())["sid"]
        poll = asyncio.create_task(client.get(sid))
        await poll_waits(sio, sid)
        await asyncio.wait_for(sio.shutdown(), 1)
        assert await socket.closed(1) == 1012
        assert (await poll).text == "1"
    await nothing_left(sio)
