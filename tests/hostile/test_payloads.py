"""What parses but is wrong gets its coded error, and its connection stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostile.arena import arena
from hostile.services import EVERYWHERE, OURS, ROOM, Kind, service
from support.limits import unlimited
from support.peers import RawPeer, raw_peer
from walkie_signal import SignalingNamespace

NO_OBJECTS: list[list[Any]] = [
    [],
    [None],
    [True],
    [0],
    [1.5],
    [""],
    ["gate"],
    [[]],
    [[{}]],
    [[["room", "gate"]]],
]
NO_STRINGS: list[Any] = [None, True, False, 0, 7, 1.5, [], ["gate"], {}, {"room": "gate"}]

WRONG_FIELDS: dict[str, list[Any]] = {
    "room": [*NO_STRINGS, "", "x" * 129, "\U0001f600" * 129],
    "role": [*NO_STRINGS, "x" * 65, "é" * 65],
    "userId": [
        None, True, False, 1.5, 1e300, -0.5, 1e16, [], ["u"], {}, {"$": 1}, 2**53 + 1, -(2**53) - 1, 10**99,
        "x" * 65,
    ],
}  # fmt: skip
"""Each is the only fault of an otherwise good ``join_room``."""

RIGHT_FIELDS: dict[str, list[Any]] = {
    "room": ["x", "x" * 128, "\U0001f600" * 128, " ", "\0", "/", "__class__", "0", ".."],
    "role": ["", "x" * 64, "\U0001f600" * 64, "admin"],
    "userId": ["", "x" * 64, "0", 0, -1, 2**53, -(2**53)],
}


async def refused(peer: RawPeer, code: str, *event: Any) -> None:
    """An event is answered with that code: in its ack, and where it asks for none by ``signal_error``."""
    answer = await peer.ask(*event)
    assert list(answer) == ["ok", "error"], (event, answer)
    assert (answer["ok"], answer["error"]["code"]) == (False, code), (event, answer)
    await peer.send(f"42{json.dumps(event)}")
    assert await peer.event("signal_error") == {"event": event[0], **answer["error"]}


@pytest.mark.promise("Bad input", "Each field of a wrong type or length is answered `invalid_payload`")
@EVERYWHERE
async def test_a_payload_that_is_no_object_is_invalid(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        for event in ("join_room", "leave_room", "signal"):
            for arguments in NO_OBJECTS:
                if (event, arguments) != ("leave_room", []):  # which means: every room
                    await refused(attacker, "invalid_payload", event, *arguments)
                if arguments:
                    await refused(attacker, "invalid_payload", event, *arguments, {"room": ROOM})


@pytest.mark.promise("Bad input", "Each field of a wrong type or length is answered `invalid_payload`")
@EVERYWHERE
async def test_a_field_of_a_wrong_type_or_length_is_invalid(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        await refused(attacker, "invalid_payload", "join_room", {"role": "guard", "userId": 1})
        for field, values in WRONG_FIELDS.items():
            for value in values:
                await refused(attacker, "invalid_payload", "join_room", {"room": "other", field: value})
        for value in WRONG_FIELDS["room"]:
            await refused(attacker, "invalid_payload", "leave_room", {"room": value})
        for value in NO_STRINGS:
            await refused(attacker, "invalid_payload", "signal", {"targetId": value, "signal": 1})
        target = fight.bystander.peer_id
        for payload in ({}, {"signal": 1}, {"targetid": target, "signal": 1}):
            await refused(attacker, "invalid_payload", "signal", payload)


@EVERYWHERE
async def test_a_field_at_its_limit_is_taken(kind: Kind) -> None:
    async with (
        arena(kind, settings=unlimited()) as fight,
        raw_peer(fight.url) as peer,
        raw_peer(fight.url) as other,
    ):
        for field, values in RIGHT_FIELDS.items():
            for value in values:
                claims = {"room": "limits", field: value}
                await peer.join(**claims)
                (found,) = (await other.join(claims["room"]))["peers"]
                assert found["peerId"] == peer.peer_id
                assert field == "room" or found[field] == value
                assert await other.ask("leave_room") == {"ok": True}
        await refused(other, "not_in_room", "leave_room", {"room": ROOM})
        await refused(other, "not_in_room", "signal", {"targetId": other.peer_id, "signal": 1})


@pytest.mark.promise(
    "The wire",
    "A whole float is an integer; a signal's value is passed on as the text that it came in, and an absent "
    "one stays absent",
)
@EVERYWHERE
@pytest.mark.parametrize(
    ("written", "told"), [("7.0", "7"), ("7e0", "7"), ("-0.0", "0"), ("9007199254740992.0",) * 2]
)
async def test_a_whole_number_is_an_integer_however_it_is_written(
    kind: Kind, written: str, told: str
) -> None:
    """Dart, Kotlin, and JavaScript behind a bridge write floats."""
    async with arena(kind) as fight, raw_peer(fight.url) as peer, raw_peer(fight.url) as other:
        await other.join("numbers")
        await peer.connect()
        assert (await peer.ask_text(f'["join_room",{{"room":"numbers","userId":{written}}}]'))["ok"]
        told = told.removesuffix(".0")
        await other.until(lambda frame: f'"new_peer",{{"peerId":"{peer.peer_id}","userId":{told},' in frame)
        await other.until(lambda frame: '"room_status"' in frame and f'{{"userId":{told},' in frame)


TEXTS = ["0.0", "7e0", "-0.0", "1e16", "18446744073709551617", '{ "sdpMLineIndex" : 0.0 }', '"\\u00e9\\/"']


@pytest.mark.promise(
    "The wire",
    "A whole float is an integer; a signal's value is passed on as the text that it came in, and an absent "
    "one stays absent",
)
@OURS
async def test_a_signal_s_text_is_the_same_whichever_way_it_is_read(kind: Kind) -> None:
    async with (
        service(kind, settings=unlimited()) as running,
        raw_peer(running.url) as peer,
        raw_peer(running.url) as other,
    ):
        await other.join("numbers")
        await peer.join("numbers")
        for text in TEXTS:
            for beside in ("x", "é"):
                value = f'[{text},"{beside}"]'
                for members in (
                    f'"targetId":"{other.peer_id}","signal":{value}',
                    f'"signal":{value},"targetId":"{other.peer_id}"',
                ):
                    assert await peer.ask_text(f'["signal",{{{members}}}]') == {"ok": True}
                    frame = await other.until(lambda frame: frame.startswith('42["signal"'))
                    assert frame == f'42["signal",{{"fromId":"{peer.peer_id}","signal":{value}}}]'


@pytest.mark.promise(
    "The wire",
    "A whole float is an integer; a signal's value is passed on as the text that it came in, and an absent "
    "one stays absent",
)
@EVERYWHERE
async def test_a_signal_that_is_absent_is_relayed_without_the_key(kind: Kind) -> None:
    """As by the legacy server: a client that sends `undefined` at the end of its candidates."""
    async with (
        service(kind, settings=unlimited()) as running,
        raw_peer(running.url) as peer,
        raw_peer(running.url) as other,
    ):
        await other.join("gate")
        await peer.join("gate")
        for more in ({}, {"é": 1}):
            assert await peer.ask("signal", {"targetId": other.peer_id, **more}) == {"ok": True}
            assert await other.event("signal") == {"fromId": peer.peer_id}


@pytest.mark.promise("The wire", "A signal only reaches a peer of a shared room")
@EVERYWHERE
async def test_a_target_is_a_peer_of_a_shared_room_or_nobody(kind: Kind) -> None:
    """Not a room, not a peer of another room, not everybody; oneself, as with the legacy server."""
    async with arena(kind) as fight, fight.attack(lines=0) as attacker, raw_peer(fight.url) as stranger:
        await stranger.join("elsewhere")
        engine_sids = [peer.handshake["sid"] for peer in (attacker, fight.bystander, stranger)]
        for target in (ROOM, "elsewhere", "", "/", "*", "nobody", stranger.peer_id, *engine_sids):
            await refused(attacker, "peer_not_found", "signal", {"targetId": target, "signal": 1})
        for name in ("to", "room", "target", "sid"):
            signal = {"targetId": "nobody", "signal": 1, name: fight.bystander.peer_id}
            await refused(attacker, "peer_not_found", "signal", signal)
        assert await attacker.ask("signal", {"targetId": attacker.peer_id, "signal": [1]}) == {"ok": True}
        own = [payload for name, payload in attacker.events() if name == "signal"]
        assert own == [{"fromId": attacker.peer_id, "signal": [1]}]
        assert {name for name, _ in stranger.events()} == {"room_status"}


@EVERYWHERE
async def test_nobody_speaks_in_another_name(kind: Kind) -> None:
    """``fromId`` and ``peerId`` of a payload are ignored."""
    async with arena(kind) as fight, raw_peer(fight.url) as peer, raw_peer(fight.url) as spoof:
        await peer.join("yard")
        ack = await spoof.join("yard", peerId=peer.peer_id, fromId=peer.peer_id, sid=peer.peer_id)
        assert ack["peerId"] == spoof.peer_id
        assert (await peer.event("new_peer"))["peerId"] == spoof.peer_id
        claims = {"fromId": peer.peer_id, "peerId": peer.peer_id}
        assert await spoof.ask("signal", {**claims, "targetId": peer.peer_id, "signal": 1}) == {"ok": True}
        assert await peer.event("signal") == {"fromId": spoof.peer_id, "signal": 1}


@pytest.mark.promise("The wire", "A signal only reaches a peer of a shared room")
@EVERYWHERE
async def test_a_room_named_after_a_peer_is_a_room_like_any_other(kind: Kind) -> None:
    """In Socket.IO each sid is a room name too: whoever entered it would hear what that peer is sent."""
    async with (
        arena(kind) as fight,
        fight.attack(joined=False, lines=0) as attacker,
        raw_peer(fight.url) as ann,
        raw_peer(fight.url) as bob,
    ):
        await ann.join("yard")
        await bob.join("yard")
        for name in (ann.peer_id, ann.handshake["sid"], bob.peer_id):
            ack = await attacker.join(name)
            assert ack["peers"] == []
            assert await ann.ask("signal", {"targetId": bob.peer_id, "signal": name}) == {"ok": True}
            assert await bob.ask("signal", {"targetId": ann.peer_id, "signal": name}) == {"ok": True}
            await refused(attacker, "peer_not_found", "signal", {"targetId": ann.peer_id, "signal": 1})
            await refused(ann, "peer_not_found", "signal", {"targetId": attacker.peer_id, "signal": 1})
        if isinstance(signaling := fight.service.signaling, SignalingNamespace):
            await fight.service.sio.emit("of the host", 1, to=bob.peer_id)
            assert await bob.event("of the host") == 1
            assert [each.room for each in await signaling.peers(bob.peer_id)] == [bob.peer_id]
        assert {name for name, _ in attacker.events()} <= {"room_status", "signal_error"}
        heard = [payload for name, payload in bob.events() if name == "signal"]
        assert {payload["fromId"] for payload in heard} == {ann.peer_id}
