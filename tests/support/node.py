"""Stock JavaScript peers, run by Node.js or Bun, and the legacy server, run by Node.js."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

from support.processes import Program, running
from support.servers import free_port
from support.skips import in_ci

Transports = Literal["polling", "websocket", "upgrade"]

MayUpgrade = Literal["either"]
"""The same as ``upgrade``, but something on the way may block WebSockets."""

CLIENTS = Path(__file__).parents[1] / "clients"
PEERS = CLIENTS / "npm"
RUNTIMES: dict[str, str | Path] = {"node": "node", "bun": PEERS / "node_modules" / ".bin" / "bun"}
"""What runs a script, by name; Bun is one of the npm packages."""

LEGACY = CLIENTS / "legacy"


@cache
def _missing() -> str | None:
    """Install the npm packages if that was not done yet; returns what is missing, or an empty text."""
    for folder in (PEERS, LEGACY):
        if (folder / "node_modules").is_dir():
            continue
        if in_ci():
            return f"no npm packages in {folder.name}"
        done = subprocess.run(["npm", "ci"], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"`npm ci` failed in {folder.name}: {done.stderr}"
    if subprocess.run([RUNTIMES["bun"], "--version"], capture_output=True, check=False).returncode:
        # npm was told to run no package's scripts
        subprocess.run(["node", "node_modules/bun/install.js"], cwd=PEERS, capture_output=True, check=False)
    return None


def require_packages() -> None:
    """Skip the test if the npm packages can't be installed (a skip fails if CI is set)."""
    if missing := _missing():
        pytest.skip(missing)


async def script(name: str, *arguments: str, within: float = 90.0, runtime: str = "node") -> Any:
    """Run a script of ``tests/clients/npm`` to its end and return the record that it prints."""
    require_packages()
    async with running([RUNTIMES[runtime], name, *arguments], cwd=PEERS) as program:
        status = await program.wait(within)
        assert status == 0, f"{name} {' '.join(arguments)} ended with {status}:\n{program.output}"
        return json.loads(program.output)


_legacy: dict[str, Any] = {}


async def legacy_transcript() -> Any:
    """Return what peers hear from the legacy server in ``parity.js``; this is the same each time."""
    if "parity" not in _legacy:
        async with legacy_server() as url:
            _legacy["parity"] = await script("parity.js", url, "websocket")
    return _legacy["parity"]


@asynccontextmanager
async def victim(url: str, transports: Transports, room: str) -> AsyncIterator[Program]:
    """Run a stock peer in `room` that prints each thing that happens to it as a line of JSON."""
    require_packages()
    async with running(["node", "victim.js", url, transports, room], cwd=PEERS) as program:
        yield program


@asynccontextmanager
async def legacy_server() -> AsyncIterator[str]:
    """Run the server that this project replaces; yields its URL without a path."""
    require_packages()
    port = free_port()
    async with running(["node", "server.js"], cwd=LEGACY, env={"PORT": str(port)}) as program:
        await program.line("^ready")
        yield f"http://127.0.0.1:{port}"
