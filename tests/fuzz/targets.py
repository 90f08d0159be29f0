"""A server under fire: started as a program of its own, asked what is inside it, its log read."""

from __future__ import annotations

import json
import operator
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from fuzz.steps import upgrade
from hostile.services import Line
from support.processes import Program, running
from support.waiting import eventually, in_time
from support.wire import wire

TESTS = Path(__file__).parents[1]
SETTLES = 15.0
"""Seconds until nothing is left of who went without a word; the pings of `fuzz.server` take four of them."""

NOBODY = {"sockets": [], "environ": [], "spawned": 0}
"""What is inside when nobody is connected, as far as it is needed to see that."""

OF_UVICORN = re.compile(r"websockets_sansio_impl.*conn\.send_close\(1007\).*InvalidState")
"""Its own class, of 0.54, on text that is no UTF-8 and a CLOSE behind it that come in one read."""

Kind = Literal["uvicorn", "serve"]
BOTH = pytest.mark.parametrize("kind", ["uvicorn", "serve"])


class Target:
    """A server that listens."""

    def __init__(self, url: str, program: Program) -> None:
        self.url = url
        self._program = program
        self._ready = len(program.output)
        self._checked = 0

    # What it says

    def lines(self) -> list[Line]:
        """Return what was logged since it was ready, but for `OF_UVICORN`."""
        lines = self._program.output[self._ready :].splitlines()
        return [line_of(text) for text in lines if not OF_UVICORN.search(text)]

    def has_new_fault(self) -> bool:
        """Tell whether a traceback was logged since this was asked last."""
        new = self._program._lines[self._checked :]
        self._checked += len(new)
        return any("Traceback" in line and not OF_UVICORN.search(line) for line in new)

    async def _ask(self, path: str) -> dict[str, Any]:
        async with wire(self.url) as asking:
            status, body = await in_time(asking.request("GET", path), lambda: f"no answer to {path}", SETTLES)
        assert status == 200, body
        told: dict[str, Any] = json.loads(body)
        return told

    async def inside(self) -> dict[str, Any]:
        """Return all that a connection might leave behind."""
        return await self._ask("/inside")

    async def memory(self) -> dict[str, int]:
        """Return how much memory there is in use."""
        return await self._ask("/memory")

    async def settled(self, expected: dict[str, Any]) -> None:
        """Wait until it is inside as expected."""

        async def different() -> dict[str, Any]:
            inside = await self.inside()
            return {key: each for key, each in inside.items() if each != expected.get(key, each)}

        await eventually(different, operator.not_, "gone", within=SETTLES)


def line_of(text: str) -> Line:
    try:
        record = json.loads(text)
        return Line(f"{record['level']} {record['logger']}: {record['message']}", record.get("exception", ""))
    except (ValueError, KeyError, TypeError):
        return Line("not a line of the log", text)


@asynccontextmanager
async def target(kind: Kind) -> AsyncIterator[Target]:
    """Run a server; the first connection has come and gone, so that what it starts for all is there."""
    command = [sys.executable, "-m", "fuzz.server", kind]
    async with running(command, env={"PYTHONPATH": str(TESTS)}) as program:
        found = await program.line(r"listening on (http://[^/\s\"]+)")
        aim = Target(found[1], program)
        async with wire(aim.url) as first:
            await upgrade(first)
        await aim.settled(NOBODY)
        yield aim
