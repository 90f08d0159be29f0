from __future__ import annotations

from functools import partial

import pytest

from walkie_signal.errors import ProtocolViolation
from walkie_signal.wire.packets import (
    ACK,
    BINARY_EVENT,
    CONNECT,
    DEEPEST,
    DISCONNECT,
    EVENT,
    Packet,
    Partial,
    head_of,
    namespace_of,
    read_packet,
)


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(CONNECT, "/", None, None, 0)),
        ('0/radio,{"token":"t"}', Packet(CONNECT, "/radio", None, {"token": "t"}, 0)),
        ("0/radio?token=t,", Packet(CONNECT, "/radio", None, None, 0)),
        ("1", Packet(DISCONNECT, "/", None, None, 0)),
        ("1/radio,", Packet(DISCONNECT, "/radio", None, None, 0)),
        ('2["a",1]', Packet(EVENT, "/", None, ["a", 1], 0)),
        ('2/radio,12["a"]', Packet(EVENT, "/radio", 12, ["a"], 0)),
        ("313[null]", Packet(ACK, "/", 13, [None], 0)),
        (
            '51-["a",{"_placeholder":true,"num":0}]',
            Packet(BINARY_EVENT, "/", None, ["a", {"_placeholder": True, "num": 0}], 1),
        ),
    ],
)
def test_a_packet_is_read(text: str, packet: Packet) -> None:
    assert read_packet(text) == packet


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an unknown packet type"),
        ("7[]", "an unknown packet type"),
        ("2", "a packet without data"),
        ("2[", "a packet whose data is not JSON"),
        ("2[NaN]", "a packet whose data is not JSON"),
        ("2{}", "an event without a name"),
        ("2[7]", "an event without a name"),
        ('2["disconnect"]', "an event with a reserved name"),
        ("0[]", "a CONNECT whose payload is not an object"),
        ("07{}", "a malformed CONNECT"),
        ("1[]", "a malformed DISCONNECT"),
        ("17", "a malformed DISCONNECT"),
        ("3[]", "a malformed ack"),
        ("37{}", "a malformed ack"),
        ("4{}", "a packet that only servers send"),
        ('21-["a"]', "attachments to a packet that has none"),
        ('5["a"]', "a binary packet without attachments"),
        ('50-["a"]', "a binary packet without attachments"),
        (f'2["a",{"[" * DEEPEST}{"]" * DEEPEST}]', "a packet nested too deep"),
    ],
)
def test_what_no_client_sends_is_refused(text: str, why: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        read_packet(text)
    assert str(caught.value) == why


def test_a_packet_may_be_as_deep_as_a_handler_can_answer() -> None:
    assert read_packet(f'2["a",{"[" * (DEEPEST - 1)}{"]" * (DEEPEST - 1)}]').kind == EVENT


def begun(text: str, limit: int = 100) -> Partial:
    return Partial(read_packet(text), partial(read_packet, text), len(text), limit)


def test_attachments_take_the_places_of_their_numbers() -> None:
    text = '52-["a",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]'
    waiting = begun(text)
    assert [waiting.add(b"first"), waiting.add(b"second")] == [False, True]
    assert waiting.packet().data == ["a", b"second", [b"first"]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('51-["a"]', "attachments that don't match their placeholders"),
        ('51-["a",{"_placeholder":true,"num":1}]', "attachments that don't match their placeholders"),
        ('51-["a",{"_placeholder":true,"num":"0"}]', "a malformed placeholder"),
        ('51-["a",{"_placeholder":true,"num":true}]', "a malformed placeholder"),
    ],
)
def test_attachments_that_have_no_place_are_refused(text: str, why: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        begun(text)
    assert str(caught.value) == why


def test_the_attachments_and_the_text_are_bounded_together() -> None:
    text = '51-["a",{"_placeholder":true,"num":0}]'
    assert begun(text, len(text) + 3).add(b"abc")
    with pytest.raises(ProtocolViolation, match="attachments over the size limit"):
        begun(text, len(text) + 2).add(b"abc")


@pytest.mark.parametrize(
    ("text", "head"),
    [("2[not read]", (EVENT, "/", None)), ("3/radio?x,17[", (ACK, "/radio", 17)), ("x", None), ("", None)],
)
def test_a_head_is_read_without_its_data(text: str, head: object) -> None:
    assert head_of(text) == head


@pytest.mark.parametrize(("text", "namespace"), [('2["a"]', "/"), ('0/radio,{"sid":"s"}', "/radio")])
def test_the_namespace_of_our_own_packets_is_found(text: str, namespace: str) -> None:
    assert namespace_of(text) == namespace
