"""How many arguments a host's function takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from walkie_signal.arity import UNLIMITED, arity


@dataclass
class Unhashable:
    """A callable that is compared by its fields, and so has no hash."""

    times: int

    def __call__(self, one: Any, two: Any = None) -> None: ...


def needs_a_keyword(one: Any, *, two: Any) -> None: ...


def optional_keyword(one: Any, *, two: Any = None) -> None: ...


@pytest.mark.parametrize(
    ("function", "least", "most"),
    [
        (lambda: None, 0, 0),
        (lambda _one, _two=None, /: None, 1, 2),
        (lambda _one, *_more: None, 1, UNLIMITED),
        (lambda **_named: None, 0, 0),
        (optional_keyword, 1, 1),
        (needs_a_keyword, 1, -1),
        (partial(needs_a_keyword, two=2), 1, 1),
        (Unhashable(1), 1, 2),
        (Unhashable(1).__call__, 1, 2),
        (dict, 0, UNLIMITED),
    ],
)
def test_as_many_as_the_function_takes_by_place(function: Callable[..., Any], least: int, most: int) -> None:
    assert arity(function) == arity(function) == (least, most)
