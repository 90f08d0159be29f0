"""Lets what was begun in some order go on in that order, though each has to wait for something first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


class InOrder:
    """A line of those who wait."""

    def __init__(self) -> None:
        self._last: asyncio.Future[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return self._last is None or self._last.done()

    async def wait(self, awaited: Awaitable[Result]) -> Result:
        """Wait for `awaited`, and then for all that began to wait before.

        Who comes next goes on when its caller has gone on until it waits for something else.
        """
        before, turn = self._last, asyncio.get_running_loop().create_future()
        self._last = turn
        try:
            result = await awaited
            if before is not None and not before.done():
                await asyncio.wait([before])
            return result
        finally:
            if before is None or before.done():
                turn.set_result(None)
            else:  # this one fails or was cancelled, and those behind it wait for those before it
                before.add_done_callback(lambda _: turn.set_result(None))
