"""A value beside a room, which nodes change by compare-and-swap.

A value belongs to its room: each swap is one change of the room, in the room's order, and the value goes with the
room's last member. What a value means, and who may change it, is not for the store to know, with one exception: a
swap may ask for a certain peer to be a member.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

MOST_BYTES = 16 * 1024
"""The most that a value may have, in UTF-8: each node with members of the room gets it whole with each swap."""

Outcome = Literal["swapped", "lost", "gone"]
"""How a swap ended: the value has another version now, or the peer is no member, or nothing keeps the value."""


class Value(NamedTuple):
    """A value beside a room.

    Attributes:
        key: What it is called there, in one word.
        version: The version, which each swap raises; only a swap that names the present one is carried out.
        until: The microsecond of the store's clock until which it stays without members; with them it stays anyway.
        node: The id of the node that swapped it, and that writes it back if the store loses its memory.
        text: The value itself.
    """

    key: str
    version: int
    until: int
    node: str
    text: str


ABSENT = Value("", 0, 0, "", "")
"""What stands for a value that is not there."""


def check_value(key: str, text: str) -> None:
    """Do nothing with a key and a text that a store takes.

    Raises:
        ValueError: The key is not one word, or the text is too long or is not valid Unicode.
    """
    if key.split() != [key]:
        raise ValueError("the key of a value is one word")
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"a value has at most {MOST_BYTES} bytes")
