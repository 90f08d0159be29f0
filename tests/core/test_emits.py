"""What the host's rooms are called in a store, and which rooms other nodes can know."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest

from walkie_signal.core import emits
from walkie_signal.core.emits import can_be_shared, is_stored_name, stored_name

NAMESPACES = ["/", "/desk", "/desk\0", "desk"]
ROOMS = [None, "", "7", 7, "null", "\0", '"', "ä", "\U0001f600", 'desk\0"x"']


def test_no_two_rooms_have_one_name() -> None:
    names = {stored_name(*each): each for each in product(NAMESPACES, ROOMS)}
    assert len(names) == len(NAMESPACES) * len(ROOMS)
    assert all(map(is_stored_name, names))


@pytest.mark.parametrize("name", ["", "gate", "/", "\0", "\0gate", '"', "null"])
def test_a_room_of_signaling_is_none_of_the_host_s(name: str) -> None:
    assert not is_stored_name(name)


@pytest.mark.parametrize("room", ROOMS)
def test_texts_and_integers_are_known_elsewhere(room: object) -> None:
    assert can_be_shared(room)


@pytest.mark.parametrize(("room", "as_well"), [(7.0, 7), (True, 1), (-0.0, 0), (False, 0)])
def test_rooms_that_are_one_in_python_are_one_elsewhere(room: object, as_well: object) -> None:
    assert can_be_shared(room)
    assert stored_name("/", room) == stored_name("/", as_well)


def test_long_names_are_not_kept() -> None:
    before = emits._name.cache_info().currsize
    assert stored_name("/", "x" * 100_000).endswith('x"')
    assert emits._name.cache_info().currsize == before


@pytest.mark.parametrize(
    "room",
    [
        7.5,
        2**53 + 1,
        10**400,
        float("nan"),
        float("inf"),
        b"7",
        "\ud800",
        "a\udfffb",
        UUID(int=7),
        ("a", 7),
        {},
    ],
)
def test_what_would_come_back_as_something_else_is_not(room: object) -> None:
    """By JSON a large number may come back as another one, and a tuple as a list."""
    assert not can_be_shared(room)
