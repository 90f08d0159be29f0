from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walkie_signal.errors import ProtocolViolation
from walkie_signal.wire.frames import (
    MESSAGE,
    SEPARATOR,
    Frame,
    read_message,
    read_payload,
    write_message,
    write_payload,
)

FRAMES = st.lists(
    st.one_of(
        st.binary(), st.text(st.characters(exclude_characters=SEPARATOR, codec="utf-8")).map("4".__add__)
    ),
    min_size=1,
)


@given(FRAMES)
def test_a_payload_is_read_as_it_was_written(frames: list[Frame]) -> None:
    assert list(read_payload(write_payload(frames))) == frames


def test_a_payload_is_bounded_in_bytes_and_not_in_packets() -> None:
    assert len(list(read_payload(SEPARATOR.join(["4x"] * 1000).encode()))) == 1000


def test_a_packet_is_decoded_when_it_is_asked_for() -> None:
    packets = read_payload(b"4a\x1eb!\x1e4c")
    assert next(packets) == "4a"
    with pytest.raises(ProtocolViolation, match="a binary packet that is not base64"):
        next(packets)


def test_a_body_that_is_not_text_is_refused_and_not_quoted() -> None:
    with pytest.raises(ProtocolViolation) as caught:
        next(read_payload(b"4secret\xff"))
    assert str(caught.value) == "a body that is not UTF-8"


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        ("text", "4text"),
        (b"bytes", b"bytes"),
        (bytearray(b"bytes"), b"bytes"),
        ({"a": [1]}, '4{"a":[1]}'),
        ([1, None], "4[1,null]"),
        (None, "4"),
        (7, "47"),
    ],
)
def test_a_message_is_written_as_python_engineio_writes_it(data: object, frame: Frame) -> None:
    assert write_message(data) == frame


@pytest.mark.parametrize(
    ("text", "data"), [('{"a":1}', {"a": 1}), ("7", "7"), ("no json", "no json"), ("", ""), ("[1", "[1")]
)
def test_a_message_is_read_as_python_engineio_reads_it(text: str, data: object) -> None:
    assert read_message(text) == data


def test_a_message_begins_with_its_type() -> None:
    assert write_message("x") == f"{MESSAGE}x"
