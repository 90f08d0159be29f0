"""``walkie-signal serve`` without the packages of the extra ``fast``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from support.processes import running
from support.servers import Serving

TESTS = Path(__file__).parents[1]
"""The folder where the program runs. Python puts it on the path, so it must not be the checkout."""

WITHOUT_THE_EXTRA = """
import sys
for name in ("httptools", "orjson", "picows", "uvloop"):
    sys.modules[name] = None
from walkie_signal.cli import main
main()
"""
"""If a module in `sys.modules` is ``None``, Python says that there is no such module."""


@asynccontextmanager
async def bare_serve(*options: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Serving]:
    """Run the command as `support.servers.serve` does, but with the standard library's JSON and plain uvicorn."""
    command = [sys.executable, "-c", WITHOUT_THE_EXTRA, "serve", "--port", "0", *options]
    async with running(command, cwd=TESTS, env=env) as program:
        found = await program.line(r"listening on (https?://[^/\s]+)/\S* \(uvicorn, (\w+)")
        assert found[2] != "DirectProtocol"
        yield Serving(found[1], program)
