"""The names of the service's own rooms."""

from __future__ import annotations

from itertools import product

from walkie_signal.core.emits import is_stored_name, stored_name
from walkie_signal.core.own_rooms import REVOCATIONS_ROOM, user_room

USERS = ["", "7", "guard-7", "/", "null", "\0", '"', "\U0001f600", "x" * 10_000]


def test_each_user_has_a_room_of_its_own_that_no_peer_can_ask_for() -> None:
    names = {*map(user_room, USERS), REVOCATIONS_ROOM}
    assert len(names) == len(USERS) + 1
    assert all(map(is_stored_name, names))


def test_no_room_of_the_host_s_is_one_of_them() -> None:
    """A host's namespaces begin with a slash."""
    names = {
        stored_name(*each) for each in product(["/", "/users", "/revocations", "//users"], [None, *USERS])
    }
    assert names.isdisjoint({*map(user_room, USERS), REVOCATIONS_ROOM})


def test_a_number_and_its_text_are_one_user() -> None:
    assert user_room(7) == user_room("7")
