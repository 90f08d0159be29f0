"""How much is tried, and from which seed: the same in each run of the tests, unless the environment says otherwise.

FUZZ_SEED=abc       what all inputs follow from; a run prints it
FUZZ_SECONDS=600    how long each of these tests goes on, past its number of inputs too, from a fresh seed
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterator

import pytest

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = os.environ.get("FUZZ_SEED") or (secrets.token_hex(4) if SECONDS else "1")

for_as_long = pytest.mark.timeout(120 + 2 * SECONDS)
"""Gives a test the time that it was told to take."""


def numbers(least: int) -> Iterator[int]:
    """Count to `least`, and on until the time is over."""
    end = time.monotonic() + SECONDS
    return itertools.takewhile(lambda n: n < least or (SECONDS and time.monotonic() < end), itertools.count())


def shrunk(given: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Leave out of an input that fails whatever it fails without."""
    size = len(given)
    while size:
        at = 0
        while at < len(given):
            shorter = given[:at] + given[at + size :]
            if fails(shorter):
                given = shorter
            else:
                at += size
        size //= 2
    return given
