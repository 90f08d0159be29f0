from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walkie_signal.errors import ProtocolViolation
from walkie_signal.wire.event_packets import (
    RESERVED_EVENTS,
    Event,
    ack_text,
    confirmation_text,
    disconnect_text,
    event_of,
    event_text,
    prefix_of,
    read_event,
)


def test_an_event_is_read() -> None:
    event = read_event('4217["signal",{"targetId":"b"}]', "/", 64)
    assert event == Event("signal", ({"targetId": "b"},), 17, 31, None, '["signal",{"targetId":"b"}]')


def test_an_event_of_another_namespace_is_left_to_others() -> None:
    assert read_event('42["a"]', "/radio", 64) is None
    assert read_event('42/radio,["a"]', "/", 64) is None
    event = read_event('42/radio,5["a",1,2]', "/radio", 64)
    assert event is not None
    assert (event.name, event.arguments, event.ack_id) == ("a", (1, 2), 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "40",
        "41",
        '43["a"]',
        '451-["a",{"_placeholder":true,"num":0}]',
        "42",
        "42{}",
        "42x",
        '2["a"]',
    ],
)
def test_another_packet_is_left_to_others(text: str) -> None:
    assert read_event(text, "/", 64) is None


@pytest.mark.parametrize(
    "text",
    [
        "42[",
        "42[NaN]",
        '42["a",1e999]',
        "42[]",
        "42[1]",
        "42[null]",
        '42[["signal"]]',
        '42["a"]x',
        "42" + "[" * 100_000,
    ],
)
def test_a_malformed_event_breaks_the_protocol(text: str) -> None:
    with pytest.raises(ProtocolViolation):
        read_event(text, "/", 64)


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_a_reserved_name_breaks_the_protocol(name: str) -> None:
    with pytest.raises(ProtocolViolation):
        read_event(f'42["{name}",{{}}]', "/", 64)
    with pytest.raises(ProtocolViolation):
        event_of([name, {}], None, 64)


@pytest.mark.parametrize("data", [[], [None], [{"a": 1}], None, {}, "signal"])
def test_data_without_a_name_breaks_the_protocol(data: object) -> None:
    with pytest.raises(ProtocolViolation):
        event_of(data, None, 64)  # type: ignore[arg-type]


def test_what_can_not_be_relayed_is_told_but_breaks_nothing() -> None:
    for inside in ('"\\ud800"', "[" * 70 + "]" * 70):
        event = read_event(f'42["signal",{{"signal":{inside}}}]', "/", 64)
        assert event is not None
        assert event.fault is not None
    assert event_of(["signal", {"signal": b"x"}], None, 64).fault == "binary data"


def test_brackets_in_strings_are_no_nesting() -> None:
    event = read_event('42["signal",{"signal":"' + "[" * 100 + '"}]', "/", 64)
    assert event is not None
    assert event.fault is None


def test_the_size_is_that_of_the_encoded_event() -> None:
    event = read_event('42["é"]', "/", 64)
    assert event is not None
    assert event.size == len('42["é"]'.encode())
    assert event_of(["é", {"a": 1}], None, 64).size == len('["é",{"a":1}]'.encode())


def test_packets_are_written_as_the_protocol_has_them() -> None:
    radio = prefix_of("/radio")
    assert event_text("", "signal", {"a": 1}) == '42["signal",{"a":1}]'
    assert event_text(radio, 'quo"te') == '42/radio,["quo\\"te"]'
    assert ack_text("", 0, {"ok": True}) == '430[{"ok":true}]'
    assert ack_text(radio, 12, {"ok": True}) == '43/radio,12[{"ok":true}]'
    assert confirmation_text(radio, 12) == ack_text(radio, 12, {"ok": True})
    assert (disconnect_text(""), disconnect_text(radio)) == ("41", "41/radio,")


STRINGS = st.text('aé😀"\\\n\x00[{', max_size=6)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
)
ARGUMENTS = st.lists(
    SCALARS | STRINGS | st.lists(STRINGS, max_size=2) | st.dictionaries(STRINGS, SCALARS, max_size=2)
)


@settings(max_examples=20, deadline=None)
@given(STRINGS, ARGUMENTS, st.none() | st.integers(0, 10**15))
def test_what_is_written_is_read_again(name: str, arguments: list[object], ack_id: int | None) -> None:
    text = event_text("", name, *arguments)
    event = read_event(text if ack_id is None else f"42{ack_id}{text[2:]}", "/", 64)
    assert event is not None
    assert (event.name, list(event.arguments), event.ack_id) == (name, arguments, ack_id)
    assert event.fault is None


@settings(max_examples=25, deadline=None)
@given(st.text('2[]{}",:\\ud8001eNa '))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with suppress(ProtocolViolation):
        read_event("42" + text, "/", 64)
