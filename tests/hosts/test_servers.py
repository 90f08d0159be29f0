"""The ASGI servers, each by its own command line: uvicorn, hypercorn, granian."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster.crowds import STARTED
from support.processes import SCRIPTS, Program, running
from support.servers import free_port
from support.stock import TRANSPORTS, meet, peers, web
from support.waiting import eventually

APPS = Path(__file__).parent / "apps"

UVICORN = ["uvicorn", "--no-access-log", "--port"]

SERVERS: dict[str, Callable[[int], list[str]]] = {
    "uvicorn-plain": lambda port: [*UVICORN, str(port), "--loop", "asyncio", "--http", "h11", "patrol:app"],
    "uvicorn-fast": lambda port: [
        *UVICORN,
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "patrol:attached",
    ],
    "hypercorn": lambda port: [
        "hypercorn",
        "--graceful-timeout",
        "1",
        "--bind",
        f"127.0.0.1:{port}",
        "patrol:attached",
    ],
    # With several threads, its default, it panics now and then at SIGTERM while a WebSocket of any app is open
    # ("Cannot drop pointer into Python heap", emmett-framework/granian#884, seen in 2.8.7), and the lifespan
    # never ends.
    "granian": lambda port: [
        "granian",
        "--interface",
        "asgi",
        "--runtime-mode",
        "st",
        "--port",
        str(port),
        "patrol:app",
    ],
}

WARNING = "SEVERAL WORKERS, ROOMS IN MEMORY"
READY = r"lifespan started"
LISTENS = r"running on http|Listening at: http|Running on http"


@asynccontextmanager
async def on(command: list[str], port: int, **how: Any) -> AsyncIterator[tuple[str, Program]]:
    """Run a server with an app of the folder; gives its URL and the program."""
    program, *arguments = command
    async with running([SCRIPTS / program, *arguments], **{"cwd": APPS, **how}) as server:
        await server.line(READY)
        await server.line(LISTENS)
        url = f"http://127.0.0.1:{port}"
        await accepts(url)
        yield url, server


async def accepts(url: str) -> None:
    """Wait until requests are answered: granian and gunicorn say that they listen before they do."""
    async with web(url) as http:

        async def accepted() -> bool:
            with suppress(httpx.TransportError):
                await http.get("/ping")
                return True
            return False

        await eventually(accepted, what=f"accepted at {url}", within=STARTED)


@pytest.mark.promise("Hosts", "It works on uvicorn, hypercorn and granian")
@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS.keys())
async def test_peers_meet_on_each_server_and_it_ends_while_one_is_connected(
    command: Callable[[int], list[str]],
) -> None:
    port = free_port()
    async with on(command(port), port) as (url, program):
        for transport in TRANSPORTS:
            await meet(url, path="/api/socket.io", transport=transport)
        async with web(url) as http:
            for elsewhere in ("/socket.io/?EIO=4&transport=polling", "/nowhere"):
                assert (await http.get(elsewhere)).status_code == 404
            assert (await http.get("/ping")).json() == "pong"
        assert "Traceback" not in program.output, program.output
        async with peers(url, "gate", path="/api/socket.io") as (peer,):
            program.send_signal(signal.SIGTERM)
            await peer.hears("disconnect")
            await program.wait(15)
        assert "lifespan ended" in program.output
        # hypercorn ends connections by cancelling itself, and logs that
        for wrong in ("/walkie_signal/", "never retrieved", "was destroyed", WARNING):
            assert wrong not in program.output, program.output


async def test_two_hosts_that_one_supervisor_starts_are_not_warned_of(tmp_path: Path) -> None:
    """As systemd starts the same command in two folders, each with a port of its own in the environment."""
    ports = free_port(), free_port()
    environments = [{"UVICORN_PORT": str(port), "PYTHONPATH": str(APPS)} for port in ports]
    command = ["uvicorn", "patrol:app"]
    async with (
        on(command, ports[0], env=environments[0]) as (_, one),
        on(command, ports[1], env=environments[1], cwd=tmp_path) as (_, other),
    ):
        for program in (one, other):
            assert WARNING not in program.output
