"""Events that no client may send, and events where none may be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
import socketio

from hostile.arena import arena
from hostile.services import ATTACHED, EVERYWHERE, OURS, Kind
from support.limits import unlimited
from support.raw import Frame, Transport

RESERVED = ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]

FORMS = {
    "bare": '42["{name}"]',
    "with an ack asked for": '427["{name}",{{}}]',
    "with what a handler takes": '42["{name}",{{"QUERY_STRING":""}},{{"token":"x"}}]',
    "with a reason": '42["{name}","transport close"]',
    "with an escape in its name": '42["\\u0063onnect"]',
}


@pytest.mark.promise(
    "Bad input",
    "An event with a reserved name, on any namespace, as text or binary, runs no handler; its connection "
    "is closed within 1 s, and no other peer notices",
)
@EVERYWHERE
async def test_reserved_events_close_the_connection(kind: Kind) -> None:
    """Defect 1: python-socketio runs the handler of a real connect or disconnect with the client's data."""
    called: list[str] = []
    async with arena(kind) as fight:
        if fight.service.sio is not None:
            for name in RESERVED:
                fight.service.sio.on(name, lambda sid, *_: called.append(sid))
        for name in RESERVED:
            for form, text in FORMS.items():
                called.clear()
                async with fight.attack(f"{name}, {form}", lines=1) as attacker:
                    connects = called.count(attacker.peer_id)
                    await attacker.send(text.format(name=name))
                    await fight.closes(attacker)
                    assert connects == (0 if kind == "serve" else 1)
                assert called.count(attacker.peer_id) == 2 * connects, "a connect or a disconnect too many"


@pytest.mark.promise(
    "Bad input",
    "An event with a reserved name, on any namespace, as text or binary, runs no handler; its connection "
    "is closed within 1 s, and no other peer notices",
)
@EVERYWHERE
async def test_reserved_events_with_attachments_close_the_connection(kind: Kind) -> None:
    async with arena(kind) as fight:
        binary = '451-["{name}",{{"_placeholder":true,"num":0}}]'
        await fight.closes_each({name: [binary.format(name=name), b"x"] for name in RESERVED})


class Listener(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio has no types
    """A host's class for a namespace, that has a method for each event that no client may send."""

    def __init__(self, namespace: str, calls: list[str]) -> None:
        super().__init__(namespace)
        for name in RESERVED:
            setattr(self, f"on_{name}", lambda *_, name=name: calls.append(name))


def listen(sio: Any) -> list[str]:
    """Handle reserved events on three namespaces of a host's, in each way there is; returns who was called."""
    calls: list[str] = []
    for name in RESERVED:
        sio.on(name, lambda *_, name=name: calls.append(name), namespace="/functions")
    sio.register_namespace(Listener("/class", calls))
    for name in ("connect", "disconnect"):
        sio.on(name, lambda *_, name=name: calls.append(name), namespace="/catch-all")
    sio.on("*", lambda name, *_: calls.append(name), namespace="/catch-all")
    return calls


@pytest.mark.promise(
    "Bad input",
    "An event with a reserved name, on any namespace, as text or binary, runs no handler; its connection "
    "is closed within 1 s, and no other peer notices",
)
@ATTACHED
@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("namespace", ["/functions", "/class", "/catch-all"])
async def test_reserved_events_on_a_host_s_namespaces_close_the_connection(
    kind: Kind, transport: Transport, namespace: str
) -> None:
    async with arena(kind) as fight:
        calls = listen(fight.service.sio)
        for name in RESERVED:
            forms: list[list[Frame]] = [
                [f'42{namespace},["{name}",{{"QUERY_STRING":""}},{{"token":"x"}}]'],
                [f'451-{namespace},["{name}",{{"_placeholder":true,"num":0}}]', b"x"],
            ]
            for form in forms:
                calls.clear()
                async with fight.attack(name, transport=transport, lines=1) as attacker:
                    await attacker.send(f"40{namespace},")
                    await attacker.until(lambda frame: frame.startswith(f"40{namespace},"))
                    await attacker.send(*form)
                    await attacker.closed(within=1)
                assert calls == ["connect", "disconnect"], "of handlers only those for its coming and going"


NO_NAMES = ["null", "1", "true", "1.5", '["signal"]', '{"signal":1}', "[]", "[[[]]]"]


@pytest.mark.promise(
    "Bad input",
    "An event whose name is not a string, that comes before CONNECT, or that is for a namespace not "
    "joined, closes the connection",
)
@EVERYWHERE
async def test_an_event_whose_name_is_no_string_closes_the_connection(kind: Kind) -> None:
    async with arena(kind) as fight:
        await fight.closes_each({name: [f"42[{name},1]"] for name in NO_NAMES})


ODD_NAMES = [
    "", "*", "__init__", "__class__", "__dict__", "trigger_event", "_set_server", "emit", "on_connect", "message",
    "Connect", "connect ", "connection", "kick", "close", "start", "new_peer", "room_status", "server", "ping",
    "join_room ", "JOIN_ROOM", "join_room\0", "constructor", "__proto__", "x" * 10_000, "\U0001f600",
]  # fmt: skip


ODD_ARGUMENTS: list[list[Any]] = [[], [{}], [None, 1, "x"], [{"room": "gate"}, {}, {}, {}, {}]]


@EVERYWHERE
async def test_odd_names_are_unknown_events(kind: Kind) -> None:
    """Among them names of Python's and of our own methods: none is called."""
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        for name in ODD_NAMES:
            for arguments in ODD_ARGUMENTS:
                answer = await attacker.ask(name, *arguments)
                assert answer["error"]["code"] == "unknown_event", (name, answer)
                await attacker.send(_event(name, *arguments))
                error = await attacker.event("signal_error")
                assert (error["event"], error["code"]) == (name, "unknown_event")


def _event(*event: Any) -> str:
    return f"42{json.dumps(event)}"


@EVERYWHERE
async def test_a_name_that_is_no_text_is_answered_too(kind: Kind) -> None:
    """A lone surrogate is JSON, but an answer that repeats it could not be written."""
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        for name in ('"\\ud800"', '"join_room\\udfff"'):
            for arguments in ("", ",{}", ',"\\ud800"'):
                answer = await attacker.ask_text(f"[{name}{arguments}]")
                assert answer["error"]["code"] in ("unknown_event", "invalid_payload")
                await attacker.send(f"42[{name}{arguments}]")
                assert (await attacker.event("signal_error"))["code"] == answer["error"]["code"]


BEFORE_CONNECT: dict[str, list[Frame]] = {
    "an event": ['42["join_room",{"room":"gate"}]'],
    "an event that asks for an ack": ['420["join_room",{"room":"gate"}]'],
    "an ack": ["430[]"],
    "a binary event": ['451-["x",{"_placeholder":true,"num":0}]', b"x"],
    "an event of a namespace": ['42/other,["x"]'],
}


@pytest.mark.promise(
    "Bad input",
    "An event whose name is not a string, that comes before CONNECT, or that is for a namespace not "
    "joined, closes the connection",
)
@OURS
async def test_an_event_before_connect_closes_the_connection(kind: Kind) -> None:
    async with arena(kind) as fight:
        await fight.closes_each(BEFORE_CONNECT, joined=False)


NOT_JOINED = ['42/other,["signal",1]', '42/other,7["signal",1]', "43/other,1[]", '42/gate,["x"]', "41/other,"]


@pytest.mark.promise(
    "Bad input",
    "An event whose name is not a string, that comes before CONNECT, or that is for a namespace not "
    "joined, closes the connection",
)
@OURS
async def test_an_event_of_a_namespace_not_joined_closes_the_connection(kind: Kind) -> None:
    async with arena(kind) as fight:
        await fight.closes_each({frame: [frame] for frame in NOT_JOINED})


@OURS
async def test_a_namespace_that_is_not_there_is_refused_and_the_connection_stays(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=6) as attacker:
        for namespace in ("/other", "/gate", "/..", "/*", "/\U0001f600", "/" + "x" * 1000):
            await attacker.send(f"40{namespace},{{}}")
            assert await attacker.until(lambda frame: frame.startswith("44")) == (
                f'44{namespace},{{"message":"Invalid namespace"}}'
            )
        assert await attacker.ask("signal", {"targetId": attacker.peer_id, "signal": 1}) == {"ok": True}


@OURS
@pytest.mark.parametrize("auth", ["", "{}", '{"token":"x"}'])
async def test_a_second_connect_makes_no_second_peer(kind: Kind, auth: str) -> None:
    async with arena(kind) as fight, fight.attack(lines=1) as attacker:
        await attacker.send(f"40{auth}")
        await fight.closes(attacker)


@OURS
async def test_who_leaves_the_namespace_is_gone_and_may_come_back(kind: Kind) -> None:
    async with arena(kind, settings=unlimited()) as fight, fight.attack(lines=0) as attacker:
        ids = [attacker.peer_id]
        for _ in range(100):
            await attacker.send("41")
            await attacker.connect()
            ids.append(attacker.peer_id)
        assert len({*ids}) == 101
        attacker.peer_id = ids[0]
