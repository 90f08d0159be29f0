from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walkie_signal.core.peer_events import SignalTo, read_message
from walkie_signal.settings import Settings
from walkie_signal.wire import json as codec
from walkie_signal.wire.event_packets import prefix_of, read_event
from walkie_signal.wire.json import dumps
from walkie_signal.wire.relays import Relays, signal_head, signal_text

SETTINGS = Settings()
HEAD = signal_head("", "a")


def test_a_plain_signal_is_read_and_written() -> None:
    relays = Relays(prefix_of("/radio"), SETTINGS)
    text = '42/radio,17["signal",{"targetId":"b-_1","signal":{"sdp":"v=0\\r\\n"}}]'
    relayed = '42/radio,["signal",{"fromId":"a","signal":{"sdp":"v=0\\r\\n"}}]'
    assert relays.read(text, signal_head("/radio,", "a")) == ("17", "b-_1", relayed)


def test_letters_beyond_ascii_are_plain() -> None:
    plain = Relays("", SETTINGS).read('42["signal",{"targetId":"b","signal":"é"}]', HEAD)
    assert plain == ("", "b", '42["signal",{"fromId":"a","signal":"é"}]')


@pytest.mark.parametrize(
    "text",
    [
        '42["signal",{"signal":1,"targetId":"b"}]',
        '42["signal",{"targetId":"b","signal":1,"more":2}]',
        '42["signal",{"targetId":"b","signal":1,"targetId":"c"}]',
        '42["signal",{"targetId":"b","signal":1}],["x",{"y":1}]',
        '42["signal",{"targetId":"b","signal":1},{"x":1}]',
        '42["signal",{"targetId":"b","signal":}]',
        '42["signal",{"targetId":"b","signal":NaN}]',
        '42["signal",{"targetId":"b","signal":1e999}]',
        '42["signal",{"targetId":"b","signal":"\\ud800"}]',
        '42["signal",{"targetId":"b","signal":"' + "é" * 32_768 + '"}]',
        '42["signal",{"targetId":"b","signal":"\ud800"}]',
        '42["signal",{"targetId":"b","signal":' + "[" * 64 + "]" * 64 + "}]",
        '42["signal",{"targetId":"b","signal":"' + "x" * 65_536 + '"}]',
        '42["signal",{"targetId":"b\\"","signal":1}]',
        '42["signal",{"targetId":7,"signal":1}]',
        '42["signal"]',
        '42["join_room",{"targetId":"b","signal":1}]',
        '42/radio,["signal",{"targetId":"b","signal":1}]',
        '43["signal",{"targetId":"b","signal":1}]',
    ],
)
def test_whatever_is_not_plain_is_left_to_the_ordinary_way(text: str) -> None:
    assert Relays("", SETTINGS).read(text, HEAD) is None


@pytest.mark.parametrize("parser", ["orjson", "json"])
@pytest.mark.parametrize(
    "value",
    [
        '{"sdpMLineIndex":0.0}', "7e0", "-0.0", "-0", "1e16", "5e-324", "18446744073709551617",
        '{ "a" : [ 1.0 , "\\u0041\\/" ] }', '"\\ud83d\\ude42"', '{"signal":1.0}',
    ],
)  # fmt: skip
def test_a_value_goes_on_as_the_text_that_it_came_in(
    value: str, parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way it is read: beside a letter beyond ASCII, with its keys in another order, behind a join."""
    if parser == "json":
        monkeypatch.setattr(codec, "orjson", None)
    relays = Relays("", SETTINGS)
    for text in (
        f'42["signal",{{"targetId":"b","signal":{value}}}]',
        f'42["signal",{{"targetId":"b","signal":[{value},"é"]}}]',
        f'42[ "signal" , {{ "signal" : {value} , "targetId":"b" , "é" : {{}} }} , 1 ]',
        f'42["signal",{{"signal":2,"targetId":"b","sign\\u0061l":{value}}}]',
    ):
        event = read_event(text, "/", 64)
        assert event is not None
        message = read_message(event, SETTINGS)
        sent = f'[{value},"é"]' if f'[{value},"é"]' in text else value
        assert message == SignalTo("b", sent)
        assert signal_text(HEAD, sent) == f'42["signal",{{"fromId":"a","signal":{sent}}}]'
        plain = relays.read(text, HEAD)
        assert plain is None or plain[2] == signal_text(HEAD, sent)


def test_a_signal_without_a_value_goes_on_without_the_key() -> None:
    event = read_event('42["signal",{"targetId":"b"}]', "/", 64)
    assert event is not None
    assert read_message(event, SETTINGS) == SignalTo("b", None)
    assert signal_text(HEAD, None) == '42["signal",{"fromId":"a"}]'


PIECES = st.sampled_from(  # what a signal is made of, and what could break out of it
    ['"targetId":"b"', '"signal":', "1", "{", "}", "[", "]", ",", '"a"', "null", '"signal",', "2", "}]"]
)
FORMS = st.lists(PIECES, max_size=6).map(
    lambda pieces: '42["signal",{"targetId":"b","signal":' + "".join(pieces)
)


@pytest.mark.promise(
    "The transport", "A plain signal takes a quick way that reads exactly what the ordinary way reads"
)
@settings(max_examples=60, deadline=None)
@given(FORMS)
def test_both_ways_give_the_same(text: str) -> None:
    """What the quick way takes, the ordinary way takes too, and makes the same of it."""
    plain = Relays("", SETTINGS).read(text, HEAD)
    if plain is None:
        return
    event = read_event(text, "/", 64)
    assert event is not None
    message = read_message(event, SETTINGS)
    assert isinstance(message, SignalTo)
    assert (message.target_id, signal_text(HEAD, message.value)) == plain[1:]


@settings(max_examples=25, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text('aé"\\', max_size=4), st.lists, max_leaves=4
    )
)
def test_a_signal_is_relayed_as_it_was_sent(value: Any) -> None:
    plain = Relays("", SETTINGS).read('42["signal",{"targetId":"b","signal":' + dumps(value) + "}]", HEAD)
    assert plain is None or json.loads(plain[2][2:])[1] == {"fromId": "a", "signal": value}
