"""A host's own Socket.IO events, on the namespace that the signaling is on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from hosts.ways import SERVERS
from support.servers import hosted
from support.stock import peers
from walkie_signal import SignalingNamespace, attach

own_server = pytest.mark.parametrize("make", SERVERS.values(), ids=SERVERS.keys())


Function = TypeVar("Function", bound=Callable[..., Any])


def fails(_sid: str, _data: Any) -> None:
    raise KeyError("missing")


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    raise NotImplementedError


@pytest.fixture(params=[*SERVERS.values()], ids=[*SERVERS])
def sio(request: pytest.FixtureRequest) -> Any:
    """Return a host's server with events of its own, as the app has them that asked for this library."""
    sio = request.param(cors_allowed_origins="*")
    on: Callable[[str], Callable[[Function], Function]] = sio.on

    @on("ping_test")
    async def ping_test(sid: str, data: Any) -> dict[str, Any]:
        return {"pong": data, "sid": sid}

    @on("join_channel")
    async def join_channel(sid: str, channel: str) -> None:
        await sio.enter_room(sid, channel)

    @on("voice_stream")
    async def voice_stream(sid: str, channel: str, audio: bytes) -> None:
        await sio.emit("voice_stream", {"from": sid, "audio": audio}, room=channel, skip_sid=sid)

    @on("leave_channel")
    async def leave_channel(sid: str, channel: str) -> None:
        await sio.leave_room(sid, channel)

    return sio


@pytest.mark.promise("Hosts", "The host's own events still work, on our namespace too")
@pytest.mark.parametrize(("first", "transport"), [("events", "polling"), ("signaling", "websocket")])
async def test_events_of_the_host_and_ours_side_by_side(sio: Any, transport: str, first: str) -> None:
    if first == "events":
        app = attach(nothing, sio=sio)
    else:
        handlers = dict(sio.handlers.pop("/"))
        app = attach(nothing, sio=sio)
        for event, handler in handlers.items():
            sio.on(event, handler)
    async with hosted(app) as url, peers(url, "gate", "gate", None, transport=transport) as (one, two, other):
        answer = await one.ask("ping_test", {"n": 1})
        assert answer == {"pong": {"n": 1}, "sid": one.peer_id}
        for peer in (one, two):
            await peer.sio.emit("join_channel", "radio")
        for peer in (one, two, other):
            await peer.ask("ping_test", None)
        audio = bytes(range(256)) * 8
        await one.sio.emit("voice_stream", ("radio", audio))
        assert await two.hears("voice_stream") == {"from": one.peer_id, "audio": audio}
        assert await one.signal(two, "still") == {"ok": True}
        await two.hears("signal", fromId=one.peer_id)
        for peer in (one, other):
            await peer.ask("ping_test", None)
            assert "voice_stream" not in [event for event, _ in peer.heard]


async def test_a_channel_of_the_host_is_no_room_of_ours(sio: Any) -> None:
    """The host's rooms and ours have names of their own: neither is heard in the other."""
    app = attach(nothing, sio=sio)
    async with hosted(app) as url, peers(url, "gate", None) as (member, listener):
        await listener.sio.emit("join_channel", "gate")
        assert (await listener.signal(member, 1))["error"]["code"] == "not_in_room"
        assert await member.signal(member, "to myself") == {"ok": True}
        await member.hears("signal", signal="to myself")
        assert (await member.join("gate", role="again"))["ok"] is True
        await listener.ask("ping_test", None)
        assert listener.heard == []
        assert [each.peer_id for each in await app.signaling.peers("gate")] == [member.peer_id]


@pytest.mark.promise("Hosts", "The host's own events still work, on our namespace too")
async def test_a_catch_all_hears_what_nobody_else_handles(sio: Any) -> None:
    """It hides none of ours, and what it answers is the ack."""
    caught: list[tuple[Any, ...]] = []

    on: Callable[[str], Callable[[Function], Function]] = sio.on

    @on("*")
    async def anything(event: str, sid: str, *data: Any) -> str:
        caught.append((event, sid, *data))
        return "caught"

    app = attach(nothing, sio=sio)
    async with hosted(app) as url, peers(url, "gate", "gate") as (one, two):
        assert await one.ask("fire_alarm", {"floor": 3}) == "caught"
        assert caught == [("fire_alarm", one.peer_id, {"floor": 3})]
        assert await one.signal(two, 1) == {"ok": True}
        assert (await one.ask("leave_room", {})) == {"ok": True}
        assert await one.ask("ping_test", 1) == {"pong": 1, "sid": one.peer_id}
        gone = one.peer_id
        await one.close()
        await two.hears("peer_disconnected", peerId=gone)
        assert len(caught) == 1


async def test_an_event_of_the_host_that_fails_is_answered(
    sio: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sio.on("broken", fails)
    app = attach(nothing, sio=sio)
    async with hosted(app) as url, peers(url, "gate", "gate") as (one, two):
        failed = await one.ask("broken", 1)
        assert failed == {"ok": False, "error": {"code": "internal", "message": "internal error"}}
        assert "KeyError: 'missing'" in caplog.text
        wrong = await one.ask("ping_test", 1, 2, 3)
        assert wrong["error"]["code"] == "invalid_payload"
        assert (await one.ask("nobody", 1))["error"]["code"] == "unknown_event"
        await one.sio.emit("nobody", 1)
        assert (await one.hears("signal_error"))["code"] == "unknown_event"
        assert await one.signal(two, 1) == {"ok": True}


@own_server
async def test_another_namespace_of_the_host_is_left_alone(make: Any) -> None:
    sio = make()
    sio.on("join_room", lambda _sid, data: f"mine: {data}", namespace="/own")
    sio.on("connect", lambda *_: None, namespace="/own")
    async with hosted(attach(nothing, sio=sio)) as url, peers(url, None, namespaces=["/", "/own"]) as (peer,):
        assert await peer.sio.call("join_room", "gate", namespace="/own") == "mine: gate"
        assert (await peer.ask("join_room", {"room": "gate"}))["room"] == "gate"


@own_server
async def test_signaling_on_a_namespace_of_its_own(make: Any) -> None:
    sio = make()
    sio.on("join_room", lambda _sid, data: f"mine: {data}")
    app = attach(nothing, sio=sio, signaling=SignalingNamespace("/rtc"))
    async with hosted(app) as url, peers(url, None, namespaces=["/", "/rtc"]) as (peer,):
        assert await peer.ask("join_room", "gate") == "mine: gate"
        ack = await peer.sio.call("join_room", {"room": "gate"}, namespace="/rtc")
        assert (ack["ok"], ack["peerId"]) == (True, peer.sio.get_sid("/rtc"))
