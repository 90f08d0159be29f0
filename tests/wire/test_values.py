from __future__ import annotations

import math
from typing import Any

import pytest

from walkie_signal.wire.values import fault_of, is_deeper, is_text


def nested(levels: int, inside: Any = 1) -> Any:
    for _ in range(levels):
        inside = [inside]
    return inside


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "é😀", "", [], {}, {"a": [1, {"b": None}]}, nested(64)]
)
def test_json_may_be_relayed(value: Any) -> None:
    assert fault_of(value, 64) is None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (nested(65), "nested"),
        (nested(65, {}), "nested"),
        ({"a": nested(64)}, "nested"),
        (nested(500), "nested"),
        ([1, {"a": math.nan}], "finite"),
        ([-math.inf], "finite"),
        ({"a": "\ud800"}, "surrogate"),
        ({"\ud800": 1}, "surrogate"),
        ([b"x"], "binary"),
        ([bytearray()], "binary"),
        ({1: 2}, "key"),
        ([{1, 2}], "not JSON"),
    ],
)
def test_what_a_peer_could_not_read_is_named(value: Any, fault: str) -> None:
    found = fault_of(value, 64)
    assert found is not None
    assert fault in found


def test_a_surrogate_pair_is_text_and_half_of_one_is_not() -> None:
    assert is_text("\U0001f600")
    assert not is_text("\udc00")


@pytest.mark.parametrize("deep", [nested(3), nested(3, {}), {"a": [{"b": 1}]}, [1, [2], [[3]]]])
def test_depth_is_what_stands_inside_one_another(deep: Any) -> None:
    depth = 4 if deep == nested(3, {}) else 3
    assert is_deeper(deep, depth - 1)
    assert not is_deeper(deep, depth)
