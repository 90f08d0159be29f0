"""JSON that one peer sends and another would have to read, and binary data."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from hostile import services
from hostile.arena import Arena, arena
from hostile.services import ATTACHED, Kind, service
from support.bare import bare_serve
from support.limits import unlimited
from support.peers import raw_peer
from support.raw import Frame
from support.waiting import becomes
from walkie_signal import Credentials, Identity

BARE = pytest.param("serve", id="bare")
"""The command without the extra ``fast``, whose JSON is the standard library's."""

OURS = pytest.mark.parametrize("kind", ["attach", "direct", "serve", BARE])
EVERYWHERE = pytest.mark.parametrize("kind", ["attach", "direct", "serve", BARE, "stock"])


@pytest.fixture(autouse=True)
def _bare(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.callspec.id == BARE.id:
        monkeypatch.setattr(services, "serve", bare_serve)


NO_JSON = [
    "NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[[1e999]]", '{"a":NaN}', "1e99999999999999999999",
    "9" * 400, "01", "1.", ".5", "+1", "0x10", "1_000", "nul", "undefined", "'x'", "{a:1}",
    '"\t"', '"\x00"', '"\\x"',
    '"\\u12"', "1 2", "{,}", "[1,]", '{"a":1,}', "//x\n1", "/**/1", "\ufeff1", "",
]  # fmt: skip
"""Python's json reads the first of them, and JavaScript then drops the connection of whoever gets it."""


@pytest.mark.promise(
    "Bad input", "`NaN`, infinities and odd JSON disconnect no other peer, with and without the extra `fast`"
)
@OURS
async def test_a_signal_that_is_no_json_closes_the_connection(kind: Kind) -> None:
    """Defect 13."""
    async with arena(kind) as fight:
        head = f'427["signal",{{"targetId":"{fight.bystander.peer_id}","signal":'
        await fight.closes_each({text[:40]: [f"{head}{text}}}]"] for text in NO_JSON})


@pytest.mark.promise("Bad input", "Stock servers do what the docs say of them")
@pytest.mark.parametrize("kind", ["stock"])
async def test_a_stock_server_relays_no_number_that_is_not_finite(kind: Kind) -> None:
    """Its parser takes them; they are answered, and go no further."""
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        for text in ("NaN", "Infinity", "-Infinity", "1e999", '{"a":[1e999]}'):
            assert await _code(fight, attacker, text) == "invalid_payload", text


NOT_RELAYED = {
    "nested 500 deep": "[" * 500 + "]" * 500,
    "objects nested 500 deep": '{"a":' * 500 + "1" + "}" * 500,
    "nested one too deep": "[" * 64 + "]" * 64,
    "a lone high surrogate": '"\\ud800"',
    "a lone low surrogate": '"\\udc00"',
    "surrogates in the wrong order": '"\\udc00\\ud800"',
    "a lone surrogate in a key": '{"\\ud800":1}',
    "a lone surrogate far inside": '[{"a":["x\\ud83dx"]}]',
}


@EVERYWHERE
async def test_a_signal_that_another_peer_could_not_read_is_invalid(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        for what, text in NOT_RELAYED.items():
            assert await _code(fight, attacker, text) == "invalid_payload", what
        for event in ('["join_room",{"room":"\\ud800"}]', '["leave_room",{"room":"a\\udfffb"}]'):
            assert (await attacker.ask_text(event))["error"]["code"] == "invalid_payload", event


async def _code(fight: Arena, attacker: Any, text: str) -> str:
    answer = await attacker.ask_text(f'["signal",{{"targetId":"{fight.bystander.peer_id}","signal":{text}}}]')
    return str(answer["error"]["code"])


RELAYED: dict[str, tuple[str, Any]] = {
    "null": ("null", None),
    "false": ("false", False),
    "nested as deep as may be": ("[" * 62 + "]" * 62, None),
    "duplicate keys": ('{"a":1,"a":2}', {"a": 2}),
    "an integer of 100 digits": ("1" * 100, int("1" * 100)),
    "a negative integer of 100 digits": ("-" + "1" * 100, -int("1" * 100)),
    "a surrogate pair": ('"\\ud83d\\ude00"', "\U0001f600"),
    "a NUL": ('"\\u0000"', "\0"),
    "the separator of polling": ('"\\u001e"', "\x1e"),
    "what looks like a packet": ('"42[\\"signal\\",1]"', '42["signal",1]'),
    "a placeholder": ('{"_placeholder":true,"num":0}', {"_placeholder": True, "num": 0}),
    "dunder keys": ('{"__proto__":{"x":1},"__class__":1}', {"__proto__": {"x": 1}, "__class__": 1}),
    "blanks between": ("[ 1 ,\t2\r\n]", [1, 2]),
    "a number that is nearly nothing": ("1e-999", 0.0),
}


@OURS
async def test_odd_json_is_relayed_as_it_was(kind: Kind) -> None:
    async with arena(kind) as fight, raw_peer(fight.url) as ann, raw_peer(fight.url, "polling") as bob:
        await bob.join("yard")
        await ann.join("yard")
        for what, (text, value) in RELAYED.items():
            ack = await ann.ask_text(f'["signal",{{"targetId":"{bob.peer_id}","signal":{text}}}]')
            assert ack == {"ok": True}, (what, ack)
            heard = await bob.event("signal")
            assert what == "nested as deep as may be" or heard["signal"] == value, (what, heard)
            assert "Infinity" not in json.dumps(heard)


def placeholder(number: Any) -> str:
    return f'{{"_placeholder":true,"num":{number}}}'


BINARY_SIGNAL = '"targetId":"{target}","signal":' + placeholder(0)


@EVERYWHERE
async def test_a_binary_signal_is_invalid(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        payload = "{" + BINARY_SIGNAL.replace("{target}", fight.bystander.peer_id) + "}"
        for data in (b"", b"\xff" * 100):
            await attacker.send(f'451-7["signal",{payload}]', data)
            assert (await attacker.acked(7))["error"]["code"] == "invalid_payload"
        await attacker.send(f'451-["join_room",{{"room":{placeholder(0)}}}]', b"x")
        assert (await attacker.event("signal_error"))["code"] == "invalid_payload"


BAD_ATTACHMENTS: dict[str, list[Frame]] = {
    "none announced": ['450-["signal",{}]'],
    "none announced, and a placeholder": [f'450-["signal",{placeholder(0)}]'],
    "five announced, one place": [f'455-["signal",{placeholder(0)}]', b"x"],
    "ten digits of them": [f'459999999999-["signal",{placeholder(0)}]', b"x"],
    "four digits of them": [f'459999-["signal",{placeholder(0)}]', b"x"],
    "one announced, no place": ['451-["signal",{}]', b"x"],
    "no number": [f'45["signal",{placeholder(0)}]', b"x"],
    "a negative number": [f'45-1-["signal",{placeholder(0)}]', b"x"],
    "text in place of an attachment": [f'451-["signal",{placeholder(0)}]', '42["signal",{}]'],
    "CONNECT in the place of an attachment": [f'451-["signal",{placeholder(0)}]', "40"],
    "a second event before the attachment": [
        f'451-["signal",{placeholder(0)}]',
        f'451-["x",{placeholder(0)}]',
    ],
    "an attachment too many": [f'451-["signal",{placeholder(0)}]', b"x", b"y"],
    "a place that there is not": [f'451-["signal",{placeholder(1)}]', b"x"],
    "a negative place": [f'451-["signal",{placeholder(-1)}]', b"x"],
    "a place that is a string": [f'451-["signal",{placeholder(chr(34) + "0" + chr(34))}]', b"x"],
    "a place that is true": [f'451-["signal",{placeholder("true")}]', b"x"],
    "two places for one": [f'451-["signal",{placeholder(0)},{placeholder(0)}]', b"x"],
    "attachments to an event that is not binary": ['421-["signal",{}]', b"x"],
    "attachments to a CONNECT": ["401-{}", b"x"],
    "a binary ack without attachments": ["460-1[]"],
    "a binary ack without an id": [f"461-[{placeholder(0)}]", b"x"],
}


@pytest.mark.promise(
    "Bad input",
    "Attachments that don't match their announcement close the connection, also if none or billions are "
    "announced; a peer can't make us hold more of them than one frame",
)
@OURS
async def test_attachments_that_do_not_match_close_the_connection(kind: Kind) -> None:
    """Defects 11 and 12."""
    async with arena(kind) as fight:
        await fight.closes_each(BAD_ATTACHMENTS)


@pytest.mark.promise(
    "Bad input",
    "Attachments that don't match their announcement close the connection, also if none or billions are "
    "announced; a peer can't make us hold more of them than one frame",
)
@OURS
async def test_attachments_hold_no_more_than_one_frame_may(kind: Kind) -> None:
    """Defect 12: one client made the server hold 36 MB."""
    places = ",".join(placeholder(number) for number in range(40))
    async with arena(kind) as fight:
        for sizes in ([900_000] * 2, [99_000] * 40, [1] * 39 + [1_000_000]):
            async with fight.attack(str(sizes), lines=1) as attacker:
                await attacker.send(f'4540-["signal",{places}]')
                for size in sizes:
                    await attacker.send(b"x" * size)
                await attacker.closed()


def held(value: Any) -> int:
    """Count the bytes of text and binary data in a value."""
    if isinstance(value, dict):
        return held([*value, *value.values()])
    if isinstance(value, (list, tuple)):
        return sum(map(held, value))
    return len(value) if isinstance(value, (str, bytes)) else 0


def binary_signals(count: int) -> list[Frame]:
    """Make signals whose first attachment is large, and the last one empty."""
    frames: list[Frame] = []
    for _ in range(count):
        frames += [f'452-["signal",{placeholder(0)},{placeholder(1)}]', b"x" * 900_000, b""]
    return frames


@pytest.mark.promise(
    "Bad input",
    "Attachments that don't match their announcement close the connection, also if none or billions are "
    "announced; a peer can't make us hold more of them than one frame",
)
@ATTACHED
async def test_attachments_hold_no_more_than_one_frame_may_before_connect_is_answered(kind: Kind) -> None:
    answered = asyncio.Event()
    most = 0

    async def authenticate(credentials: Credentials) -> Identity:
        await answered.wait()
        return Identity()

    async with (
        service(kind, authenticate=authenticate) as running,
        raw_peer(running.url) as attacker,
    ):
        await attacker.send("40")
        sending = asyncio.create_task(attacker.send(*binary_signals(20)))
        while attacker.is_open and not sending.done():
            for connection in running.sio.eio.sockets.values():
                for socket in connection.app or ():
                    most = max(most, held([each.read().data for each in socket.deferred]))
            await asyncio.sleep(0)
        await attacker.closed()
        answered.set()
        await sending
    assert 900_000 <= most <= 1_000_000


@pytest.mark.promise(
    "Bad input",
    "Attachments that don't match their announcement close the connection, also if none or billions are "
    "announced; a peer can't make us hold more of them than one frame",
)
@ATTACHED
async def test_attachments_of_events_that_wait_hold_no_more_than_one_frame_may(kind: Kind) -> None:
    """They wait for a join before them, to be refused; so does what is too large for an event."""
    opened = asyncio.Event()

    async def authorize(identity: Identity, room: str) -> bool:
        await opened.wait()
        return True

    async with (
        service(kind, settings=unlimited(), authorize=authorize) as running,
        raw_peer(running.url) as attacker,
    ):
        await attacker.connect()
        (peer,) = running.signaling._node._peers
        large = "x" * 900_000
        await attacker.send(
            '421["join_room",{"room":"gate"}]', *binary_signals(20), f'42["signal",["{large}"]]'
        )
        await attacker.send('422["leave_room",{}]')
        await becomes(lambda: peer.waiting, 22)
        assert held([item.arguments for item in peer._waiting]) <= 1_000_000
        opened.set()
        assert (await attacker.acked(2)) == {"ok": True}
        codes = Counter(payload["code"] for name, payload in attacker.events() if name == "signal_error")
        assert codes == {"invalid_payload": 20, "payload_too_large": 1}


@OURS
async def test_who_goes_before_its_attachments_came_leaves_nothing(kind: Kind) -> None:
    async with arena(kind) as fight:
        for _ in range(5):
            async with fight.attack(lines=0) as attacker:
                await attacker.send(f'452-["signal",{placeholder(0)},{placeholder(1)}]', b"x" * 1000)
                await attacker.abort()
