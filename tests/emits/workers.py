"""The host with its walkie-talkie as a command, with one worker or several."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.processes import SCRIPTS, Program, running
from support.servers import free_port, listens

HERE = Path(__file__).parent


@asynccontextmanager
async def workers(backend: str | None, number: int) -> AsyncIterator[tuple[str, Program]]:
    """Run the host with so many workers; gives its URL and the program."""
    port = free_port()
    command: list[str | Path] = [
        SCRIPTS / "uvicorn",
        "radio:app",
        "--factory",
        "--app-dir",
        HERE,
        "--port",
        f"{port}",
    ]
    env = {} if backend is None else {"BACKEND": backend}
    more = ["--workers", f"{number}"] if number > 1 else []
    async with running([*command, *more], env=env) as program:
        await program.says("Application startup complete", number)
        await listens(port)
        yield f"http://127.0.0.1:{port}", program
