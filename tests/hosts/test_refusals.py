"""What can't be made to work is refused where it is written, and the text says what to write instead."""

from __future__ import annotations

import traceback
from types import FunctionType
from typing import Any

import pytest
import socketio

from hosts.ways import SERVERS
from support.servers import hosted
from support.stock import peers
from walkie_signal import SignalingMiddleware, SignalingNamespace, attach

OURS = ["join_room", "leave_room", "signal"]
"""The events that a host can't have a function for."""


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    raise NotImplementedError


@pytest.fixture(params=[*SERVERS.values()], ids=[*SERVERS])
def sio(request: pytest.FixtureRequest) -> Any:
    return request.param()


def own(_sid: str, _data: Any) -> None: ...


@pytest.mark.promise("Hosts", "A handler that would hide ours is refused at registration, before or after")
@pytest.mark.parametrize("event", OURS)
def test_a_function_of_the_hosts_for_an_event_of_ours_is_refused_at_registration(
    sio: Any, event: str
) -> None:
    sio.on(event, own)
    with pytest.raises(ValueError, match=rf"'{event}'.*remove this handler.*authorize=.*on_join="):
        sio.register_namespace(SignalingNamespace())
    with pytest.raises(ValueError, match="a namespace of its own"):
        attach(nothing, sio=sio)


@pytest.mark.promise("Hosts", "A handler that would hide ours is refused at registration, before or after")
@pytest.mark.parametrize("event", OURS)
def test_it_is_refused_at_a_later_registration_too(sio: Any, event: str) -> None:
    """The error is raised at the host's line, in each of the forms that python-socketio offers."""
    attach(nothing, sio=sio)
    with pytest.raises(ValueError, match="remove this handler") as direct:
        sio.on(event, own)
    assert traceback.extract_tb(direct.tb)[0].filename == __file__
    with pytest.raises(ValueError, match="remove this handler"):
        sio.on(event, namespace="/")(own)
    named = FunctionType(own.__code__, {}, event)
    with pytest.raises(ValueError, match="remove this handler"):
        sio.event(named)
    with pytest.raises(ValueError, match="remove this handler"):
        sio.event(namespace="/")(named)
    assert event not in sio.handlers.get("/", {})
    sio.on(event, own, namespace="/elsewhere")


class Chat(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio has no types
    """A host's own class."""

    def on_chat(self, sid: str, data: Any) -> Any:
        return [sid, data]


@pytest.mark.promise("Hosts", "A handler that would hide ours is refused at registration, before or after")
def test_a_class_of_the_hosts_on_our_namespace_is_refused_first_or_last(sio: Any) -> None:
    sio.register_namespace(Chat("/"))
    with pytest.raises(ValueError, match=r"Chat's events as functions.*derive it from SignalingNamespace"):
        attach(nothing, sio=sio)
    other = SERVERS["stock"]()
    attach(nothing, sio=other)
    with pytest.raises(ValueError, match="Chat's events as functions"):
        other.register_namespace(Chat("/"))
    other.register_namespace(Chat("/chat"))


@pytest.mark.parametrize("event", [*OURS, "connect", "disconnect"])
def test_a_derived_class_with_a_handler_of_ours_is_refused_at_its_definition(event: str) -> None:
    with pytest.raises(TypeError, match=rf"on_{event} would never run"):
        type("Mine", (SignalingNamespace,), {f"on_{event}": own})


async def test_a_derived_class_with_events_of_its_own_works(sio: Any) -> None:
    class Mine(SignalingNamespace):
        async def on_chat(self, sid: str, data: Any) -> Any:
            return [sid, data, [each.peer_id for each in await self.peers("gate")]]

        def on_shout(self, sid: str, *words: str) -> str:
            return f"{sid} {'! '.join(words)}!"

    app = attach(nothing, sio=sio, signaling=Mine())
    async with hosted(app) as url, peers(url, "gate", "gate") as (one, two):
        assert await one.ask("chat", "hi") == [one.peer_id, "hi", [one.peer_id, two.peer_id]]
        assert await one.ask("shout", "a", "b") == f"{one.peer_id} a! b!"
        assert await one.signal(two, 1) == {"ok": True}
        assert (await one.ask("chat"))["error"]["code"] == "invalid_payload"
        for name in ("trigger_event", "rooms", "kick", "connect_error_", "__init__"):
            assert (await one.ask(name, 1))["error"]["code"] == "unknown_event"


def test_a_handler_of_a_class_further_up_is_refused_too() -> None:
    """A mixin hides ours as well as a method does."""

    class Mixin:
        on_connect = own

    with pytest.raises(TypeError, match="on_connect would never run"):
        type("Mine", (Mixin, SignalingNamespace), {})


def test_one_signaling_is_for_one_server() -> None:
    signaling = SignalingNamespace()
    app = attach(nothing, signaling=signaling)
    assert app.signaling is signaling
    assert attach(nothing, signaling=signaling).sio is app.sio
    with pytest.raises(ValueError, match="another server"):
        attach(nothing, signaling=signaling, sio=SERVERS["stock"]())
    with pytest.raises(ValueError, match="has a server already"):
        SERVERS["stock"]().register_namespace(signaling)


def test_two_signalings_on_one_namespace_are_refused(sio: Any) -> None:
    sio.register_namespace(SignalingNamespace())
    with pytest.raises(ValueError, match="can have one class"):
        sio.register_namespace(SignalingNamespace())
    sio.register_namespace(SignalingNamespace("/second"))


@pytest.mark.parametrize("make", [attach, SignalingMiddleware])
def test_options_that_exclude_one_another(make: Any) -> None:
    with pytest.raises(ValueError, match="not both"):
        make(nothing, signaling=SignalingNamespace(), authenticate=own)
    with pytest.raises(ValueError, match="cors_allowed_origins"):
        make(nothing, sio=SERVERS["stock"](), cors_origins=["https://page.example"])
    with pytest.raises(TypeError, match="nonsense"):
        make(nothing, nonsense=1)
    for path in ("", "/", "/a?b"):
        with pytest.raises(ValueError, match="path"):
            make(nothing, path=path)
