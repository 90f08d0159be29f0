"""What breaks Engine.IO's or Socket.IO's framing closes its connection: soon, with one line in the log."""

from __future__ import annotations

import pytest

from hostile.arena import arena
from hostile.services import OURS, Kind
from support.frames import TEXT, frame
from support.raw import Frame, Transport

BOTH_WAYS = pytest.mark.parametrize("transport", ["websocket", "polling"])

MALFORMED_SOCKETIO: dict[str, list[Frame]] = {
    "no packet type": ["4"],
    "a letter for a packet type": ["4x"],
    "a packet type that there is not": ['47["signal",1]'],
    "an event without data": ["42"],
    "an event that is an object": ['42{"signal":1}'],
    "an event that is a string": ['42"signal"'],
    "an event that is a number": ["421"],
    "an empty event": ["42[]"],
    "an event cut short": ['42["signal",{"targetId":"x"'],
    "an event with something behind it": ['42["signal",1]x'],
    "an event whose JSON has a comma too many": ['42["signal",1,]'],
    "an event with an ack id that no client counts up to": ['4212345678901234567890["signal",1]'],
    "an event with a negative ack id": ['42-1["signal",1]'],
    "an ack without an id": ["43[1]"],
    "an ack that is an object": ['431{"ok":true}'],
    "an ack without data": ["431"],
    "an ack that is not JSON": ["431[NaN]"],
    "CONNECT_ERROR, which only servers send": ['44{"message":"x"}'],
    "DISCONNECT with data": ['41["x"]'],
    "CONNECT that is not JSON": ["40{"],
    "CONNECT with a list": ["40[1]"],
    "CONNECT with a string": ['40"x"'],
    "CONNECT with null": ["40null"],
    "CONNECT with an ack id": ["4017{}"],
    "a binary message that no event has announced": [b"\x00\x01"],
    "nested 30,000 deep": ['42["signal",' + "[" * 30_000 + "]" * 30_000 + "]"],
    "nested 100,000 deep and not closed": ["42" + "[" * 100_000],
    "CONNECT nested 10,000 deep": ["40" + '{"a":' * 10_000 + "1" + "}" * 10_000],
    "an event of 330,000 lists": ["42[" + "[]," * 330_000 + "[]]"],
    "an event of 20,000 lists and not closed": ['42["signal",[' + "[]," * 20_000],
    "an ack of 20,000 lists and not closed": ["431[" + "[]," * 20_000],
    "CONNECT with 20,000 lists": ["40[" + "[]," * 20_000 + "[]]"],
}

MALFORMED_ENGINEIO: dict[str, list[Frame]] = {
    "an empty frame": [""],
    "letters": ["abc"],
    "a packet type that there is not": ["7"],
    "a digit of another script": ["٤2[]"],
    "OPEN from a client": ['0{"sid":"x"}'],
    "PING from a client": ["2"],
    "a probe outside an upgrade": ["2probe"],
    "UPGRADE outside an upgrade": ["5"],
    "only blanks": ["  "],
    "a NUL": ["\0"],
}


@pytest.mark.promise(
    "Bad input", "Malformed packets and frames close the connection within 1 s, with one line in the log"
)
@OURS
@BOTH_WAYS
async def test_malformed_socketio_packets_close_the_connection(kind: Kind, transport: Transport) -> None:
    async with arena(kind) as fight:
        await fight.closes_each(MALFORMED_SOCKETIO, transport)


@pytest.mark.promise(
    "Bad input", "Malformed packets and frames close the connection within 1 s, with one line in the log"
)
@OURS
@BOTH_WAYS
async def test_malformed_engineio_packets_close_the_connection(kind: Kind, transport: Transport) -> None:
    async with arena(kind) as fight:
        await fight.closes_each(MALFORMED_ENGINEIO, transport)


@OURS
async def test_malformed_packets_before_connect_close_the_connection(kind: Kind) -> None:
    async with arena(kind) as fight:
        await fight.closes_each({**MALFORMED_SOCKETIO, **MALFORMED_ENGINEIO}, joined=False)


@OURS
async def test_what_follows_a_malformed_packet_is_not_carried_out(kind: Kind) -> None:
    """Neither in the same body nor in further frames."""
    async with arena(kind) as fight:
        hit = f'42["signal",{{"targetId":"{fight.bystander.peer_id}","signal":"hit"}}]'
        for transport in ("websocket", "polling"):
            async with fight.attack(transport, transport=transport, lines=1) as attacker:
                await attacker.send("4x", *[hit] * 40)
                await attacker.closed()


@pytest.mark.promise(
    "Bad input", "Malformed packets and frames close the connection within 1 s, with one line in the log"
)
@OURS
async def test_many_malformed_packets_at_once_are_one_line_in_the_log(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=1) as attacker:
        await attacker.send(*["4x"] * 200)
        await attacker.closed()


BAD_UTF8 = [b"\xff", b'42["signal","\xed\xa0\x80"]', b'42["signal","\xc3"]', b"4\xf8\x88\x80\x80\x80"]


@pytest.mark.promise(
    "Bad input", "Malformed packets and frames close the connection within 1 s, with one line in the log"
)
@OURS
async def test_text_that_is_not_utf8_closes_the_connection(kind: Kind) -> None:
    async with arena(kind) as fight:
        for data in BAD_UTF8:
            async with fight.attack(f"text frame {data!r}", lines=1) as attacker:
                await attacker.session.wire.send(frame(TEXT, data))
                assert await attacker.closed() == 1007
            async with fight.attack(f"POST {data!r}", transport="polling", lines=1) as attacker:
                await attacker.session.post(data)
                await attacker.closed()


MALFORMED_BODIES = {
    "nothing": b"",
    "a separator alone": b"\x1e",
    "a separator at the end": b"3\x1e",
    "base64 that is none": b"b!!!!",
    "a form of JSONP": b"d=42%5B%22signal%22%5D",
    "version 3 of the protocol": b'9:42["x",1]',
}


@OURS
async def test_malformed_bodies_close_the_session(kind: Kind) -> None:
    async with arena(kind) as fight:
        for what, body in MALFORMED_BODIES.items():
            async with fight.attack(what, transport="polling", lines=1) as attacker:
                await attacker.session.post(body)
                assert attacker.session.posted == 400
                await attacker.closed()


@OURS
async def test_too_large_an_event_is_answered_and_the_connection_stays(kind: Kind) -> None:
    """The limit is of the encoded event; ``limitBytes`` tells it."""
    async with arena(kind) as fight:
        for transport in ("websocket", "polling"):
            async with fight.attack(transport, transport=transport, lines=4) as attacker:
                head, tail = f'["signal",{{"targetId":"{attacker.peer_id}","signal":"', '"}]'
                room = 65_536 - len("2NN") - len(head + tail)
                for text in ["x" * room, "é" * (room // 2)]:
                    assert await attacker.ask_text(head + text + tail) == {"ok": True}
                for text in ["x" * 65_600, "é" * 32_800, "x" * 900_000]:
                    answer = await attacker.ask_text(head + text + tail)
                    assert (answer["error"]["code"], answer["error"]["limitBytes"]) == (
                        "payload_too_large",
                        65_536,
                    )
                zeros = f'["signal",{{"targetId":"{attacker.peer_id}","signal":[{"0," * 330_000}0]}}]'
                assert (await attacker.ask_text(zeros))["error"]["code"] == "payload_too_large"
                assert await attacker.ask("signal", {"targetId": attacker.peer_id, "signal": 1}) == {
                    "ok": True
                }


@OURS
async def test_too_large_a_frame_closes_the_connection(kind: Kind) -> None:
    async with arena(kind) as fight:
        async with fight.attack("websocket", lines=1) as attacker:
            assert attacker.handshake["maxPayload"] == 1_000_000
            await attacker.send('42["signal","' + "x" * 1_000_000 + '"]')
            assert await attacker.closed() == 1009
        async with fight.attack("binary", lines=1) as attacker:
            await attacker.send(b"x" * 1_000_001)
            assert await attacker.closed() == 1009
        async with fight.attack("polling", transport="polling", lines=1) as attacker:
            await attacker.session.post(b'42["signal","' + b"x" * 1_000_000 + b'"]')
            await attacker.closed()
            assert attacker.session.posted in (413, 0)
