"""The rules for messages of several frames, and what is written for texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walkie_signal.direct.rules import Fragments, FrameError, close_of


def taken(payloads: list[bytes], *, is_text: bool, limit: int = 1000) -> str | bytes:
    message = Fragments(is_text=is_text, limit=limit)
    for payload in payloads[:-1]:
        message.add(payload, final=False)
    message.add(payloads[-1], final=True)
    return message.whole()


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=12))
def test_a_text_is_taken_just_when_it_is_utf8_however_it_is_cut(payloads: list[bytes]) -> None:
    whole = b"".join(payloads)
    try:
        expected = whole.decode()
    except UnicodeDecodeError:
        with pytest.raises(FrameError) as raised:
            taken(payloads, is_text=True)
        assert raised.value.code == 1007
    else:
        assert taken(payloads, is_text=True) == expected
    assert taken(payloads, is_text=False) == whole


@given(st.text(min_size=1, max_size=20), st.data())
def test_a_text_may_be_cut_anywhere(text: str, data: st.DataObject) -> None:
    encoded = text.encode("utf-8", "replace")
    at = data.draw(st.integers(0, len(encoded)))
    assert taken([encoded[:at], encoded[at:]], is_text=True) == encoded.decode()


def test_a_text_is_refused_with_the_fragment_that_spoils_it() -> None:
    message = Fragments(is_text=True, limit=10)
    message.add(b"a\xf4", final=False)
    with pytest.raises(FrameError):
        message.add(b"\x90", final=False)


def test_a_message_may_be_as_long_as_the_limit() -> None:
    assert taken([b"ab", b"c"], is_text=False, limit=3) == b"abc"
    with pytest.raises(FrameError) as raised:
        taken([b"ab", b"cd"], is_text=False, limit=3)
    assert raised.value.code == 1009


@pytest.mark.parametrize(("payload", "code"), [
    (b"\x03", 1002), (b"\x03\xe7", 1002), (b"\x03\xed", 1002), (b"\x13\x88", 1002), (b"\x03\xe8\xff", 1007),
])  # fmt: skip
def test_a_close_that_is_none_is_refused(payload: bytes, code: int) -> None:
    with pytest.raises(FrameError) as raised:
        close_of(payload)
    assert raised.value.code == code
