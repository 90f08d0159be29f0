"""How tests wait: for something to happen, never for a time, and a wait in vain says what there was instead.

`Arrivals` is for what is kept as it comes, `eventually` for a state that tells nobody when it changes, and
`in_time` for anything else that can be awaited.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")

WITHIN = 10.0
"""Seconds that anything may take that has no time of its own."""

LOOK, ASK = 0.01, 0.05
"""Seconds between two looks at a state of this process, and between two questions that somebody has to answer."""


async def in_time(awaited: Awaitable[T], otherwise: Callable[[], str], within: float = WITHIN) -> T:
    """Await something; if that takes too long, fail with the text of `otherwise`."""
    try:
        return await asyncio.wait_for(awaited, within)
    except asyncio.TimeoutError:
        raise AssertionError(f"{otherwise()} within {within} s") from None


@overload
async def eventually(
    probe: Callable[[], Coroutine[Any, Any, T]],
    accepts: Callable[[T], object] = bool,
    what: str | Callable[[], object] = ...,
    within: float = WITHIN,
) -> T: ...


@overload
async def eventually(
    probe: Callable[[], T],
    accepts: Callable[[T], object] = bool,
    what: str | Callable[[], object] = ...,
    within: float = WITHIN,
) -> T: ...


async def eventually(
    probe: Callable[[], Any],
    accepts: Callable[[Any], object] = bool,
    what: str | Callable[[], object] = "as it should be",
    within: float = WITHIN,
) -> Any:
    """Look at a state, or ask for it, until it is accepted; returns what was accepted."""
    deadline = time.monotonic() + within
    while True:
        looked = probe()
        pause = ASK if inspect.iscoroutine(looked) else LOOK
        found = await looked if inspect.iscoroutine(looked) else looked
        if accepts(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not {what() if callable(what) else what} within {within} s: {found!r}")
        await asyncio.sleep(pause)


async def becomes(probe: Callable[[], object], expected: object, within: float = WITHIN) -> None:
    """Look at a state until it is as expected."""
    await eventually(probe, lambda found: found == expected, lambda: f"{expected!r}", within=within)


class Arrivals:
    """Wakes those who wait for what somebody keeps as it comes.

    Args:
        shown: Returns what was kept so far, for a wait in vain.
    """

    def __init__(self, shown: Callable[[], object]) -> None:
        self._shown = shown
        self._grown = asyncio.Event()

    def grew(self) -> None:
        """Say that something has come."""
        self._grown.set()

    async def until(
        self, condition: Callable[[], object], what: str = "such thing", within: float = WITHIN
    ) -> None:
        """Wait until a condition on what was kept holds."""

        async def hold() -> None:
            while not condition():
                self._grown.clear()
                await self._grown.wait()

        await in_time(hold(), lambda: f"no {what}; there was:\n{self._shown()}\n", within)
