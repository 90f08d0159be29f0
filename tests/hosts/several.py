"""Two workers of one command, in each way that there is to start them, with nothing configured."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from hosts.test_launchers import GUNICORN, launched, snippet
from support.processes import Program
from support.servers import serve

MIDDLEWARE = snippet("README.md", "FastAPI()")
ATTACH = snippet("docs/fastapi.md", "app = attach(api")
NAMESPACE = snippet("docs/fastapi.md", "socketio.ASGIApp(sio")
PROGRAM = f"""
import sys
import uvicorn
{ATTACH}
if __name__ == "__main__":
    uvicorn.run("main:app", port=int(sys.argv[1]), workers=2)
"""
"""A program whose workers run it twice: as the program, for multiprocessing, and as the module that it names."""


class Way(NamedTuple):
    """How an app is run.

    Attributes:
        command: Returns the command for a port.
        code: The app.
    """

    command: Callable[[str], list[str]]
    code: str = ATTACH


def uvicorn(*options: str) -> Callable[[str], list[str]]:
    """Return the command of uvicorn with two workers."""
    return lambda port: ["uvicorn", "main:app", "--workers", "2", "--port", port, *options]


def gunicorn(*options: str) -> Callable[[str], list[str]]:
    """Return the command of gunicorn with two workers."""
    return lambda port: [*GUNICORN, "-w", "2", "--bind", f"127.0.0.1:{port}", *options]


WAYS = {
    "uvicorn-attach": Way(uvicorn()),
    "uvicorn-middleware": Way(uvicorn(), MIDDLEWARE),
    "uvicorn-namespace": Way(uvicorn(), NAMESPACE),
    "uvicorn-no-lifespan": Way(uvicorn("--lifespan", "off"), MIDDLEWARE),
    "program": Way(lambda port: ["python", "main.py", port], PROGRAM),
    "gunicorn": Way(gunicorn()),
    "gunicorn-preload": Way(gunicorn("--preload")),
    "hypercorn": Way(
        lambda port: [
            "hypercorn", "main:app", "--workers", "2", "--graceful-timeout", "1", "--bind", f"127.0.0.1:{port}",
        ]
    ),
    "granian": Way(
        lambda port: [
            "granian", "main:app", "--workers", "2", "--interface", "asgi", "--runtime-mode", "st", "--port", port,
        ]
    ),
}  # fmt: skip


@asynccontextmanager
async def run(name: str, folder: Path) -> AsyncIterator[tuple[str, Program]]:
    """Run two workers; gives the URL above ``/socket.io`` and the program."""
    if name == "serve":
        async with serve("--workers", "2") as serving:
            yield serving.url, serving.program
        return
    way = WAYS[name]
    (path,) = re.findall(r'path="([^"]+)"', way.code) or ["/socket.io"]
    async with launched(way.command, folder, way.code) as (url, program):
        yield url + path.removesuffix("/socket.io"), program
