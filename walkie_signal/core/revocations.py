"""Which users were revoked, and when. Of two times of a user the later one counts, so any two tables can be merged.

The table stands on *shelves*, each of which is a value beside one room. A user stands in it by a digest, which has
one length however long the id is, and does not show who it is. Times are milliseconds since 1970.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from walkie_signal.core.identity import Identity, UserId
from walkie_signal.core.values import MOST_BYTES
from walkie_signal.wire.json import dumps, loads

Times = Mapping[str, int]
"""When users were revoked, by their digests."""

DIGEST_BYTES, DIGEST_LENGTH = 12, 16
"""Bytes and characters of a digest: with a million users, two have the same one in one of 10^17 services."""

TOO_LATE = 10**13
"""The first time that has more digits than all before the year 2286."""

MOST_ON_A_SHELF = MOST_BYTES // len('"0123456789abcdef":1234567890123,')
"""The most users of a shelf, of which there are 64; so some 28,000 may be revoked at a time before one is full."""


class Shelf(NamedTuple):
    """A shelf after a merge.

    Attributes:
        times: What stands on it, the earliest first.
        dropped: How many did not fit, the earliest ones.
    """

    times: dict[str, int]
    dropped: int


def digest_of(user_id: UserId) -> str:
    """Return by what a user stands in the table; 7 and "7" are the same user."""
    return urlsafe_b64encode(sha256(str(user_id).encode()).digest()[:DIGEST_BYTES]).decode()


def shelf_of(digest: str) -> str:
    """Return the shelf that a user stands on."""
    return digest[0]


def merged(one: Times, other: Times, since: int) -> Shelf:
    """Merge two tables of one shelf; what is from before `since` is left out."""
    later = {digest: max(one.get(digest, 0), other.get(digest, 0)) for digest in {**one, **other}}
    kept = sorted(((at, digest) for digest, at in later.items() if at >= since))
    dropped = max(0, len(kept) - MOST_ON_A_SHELF)
    return Shelf({digest: at for at, digest in kept[dropped:]}, dropped)


def lacks(one: Times, other: Times, since: int) -> bool:
    """Tell whether the merge of two tables has something that the first one lacks."""
    return any(one.get(digest, 0) < at for digest, at in merged(one, other, since).times.items())


def refuses(at: int, identity: Identity) -> bool:
    """Tell whether an identity was issued before its user was revoked; one that does not say when may have been."""
    return identity.issued_at is None or identity.issued_at * 1000 <= at


def write_times(times: Times) -> str:
    """Write the table of a shelf."""
    return dumps(times)


def read_times(text: str) -> dict[str, int]:
    """Read the table of a shelf; an empty text is an empty one.

    Raises:
        ValueError: It is something else.
    """
    found = loads(text) if text else {}
    if not isinstance(found, dict) or not all(_is_entry(digest, at) for digest, at in found.items()):
        raise ValueError("not a table of times")
    return found


def _is_entry(digest: str, at: object) -> bool:
    return len(digest) == DIGEST_LENGTH and digest.isascii() and type(at) is int and 0 <= at < TOO_LATE
