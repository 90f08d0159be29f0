"""The format of what nodes write into a store and publish to one another.

Everything published begins with its format. A release reads the formats in `READS` and writes `WRITES`, which the
release before it can also read; so nodes of two releases work together while one replaces the other. Only two
things may be added within a format: a key of an object, or a kind of message that changes no membership. A node
ignores those that it doesn't know.
"""

from __future__ import annotations

WRITES = "1"
READS = ("1",)

LONGEST_NUMBER = 18
"""Digits of a number; microseconds of the clock have 16, and 64 bits hold 18."""


def after_format(text: str) -> tuple[str, str]:
    """Return what follows the format in what was published: the first word, and the rest.

    Raises:
        ValueError: It has another format.
    """
    written, _, rest = text.partition(" ")
    if written not in READS:
        raise ValueError(f"an unknown format, {written[:20]!r}; this release reads {', '.join(READS)}")
    first, _, rest = rest.partition(" ")
    return first, rest


def read_number(text: str) -> int:
    """Read a number.

    Raises:
        ValueError: It is not one, or it is longer than any of ours.
    """
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise ValueError("not a number")
    return int(text)
