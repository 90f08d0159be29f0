from __future__ import annotations

import pytest

from walkie_signal.core.values import MOST_BYTES, check_value


@pytest.mark.parametrize(("key", "text"), [("floor", ""), ("call:7", "x" * MOST_BYTES), ("k", "é 🙂\n\0")])
def test_a_word_and_a_text_of_so_many_bytes_are_taken(key: str, text: str) -> None:
    check_value(key, text)


@pytest.mark.parametrize(
    ("key", "text"),
    [("", "x"), ("two words", "x"), (" floor", "x"), ("floor\n", "x"), ("floor", "é" * (MOST_BYTES // 2) + "x"),
     ("floor", "\ud800")],
)  # fmt: skip
def test_other_keys_and_texts_are_refused(key: str, text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each of the three says something else
        check_value(key, text)
