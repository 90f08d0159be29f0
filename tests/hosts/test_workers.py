"""Several workers of one command share their rooms with nothing configured, whoever starts them."""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from cluster.crowds import crowd
from hosts.test_launchers import COMMANDS, GUNICORN, UNSTARTED, launched, snippet
from hosts.test_servers import WARNING
from support.peers import RawPeer
from support.processes import Program
from support.servers import serve
from support.stock import web

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
    "fastapi-run": Way(lambda port: [*COMMANDS["fastapi-run"](port), "--workers", "2"], MIDDLEWARE),
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


async def say(sender: RawPeer, target: RawPeer) -> None:
    """Let one signal to another, with an ack, and be heard."""
    assert await sender.signal(target, {"sdp": sender.peer_id}) == {"ok": True}
    await target.hears("signal", fromId=sender.peer_id, signal={"sdp": sender.peer_id})


@pytest.mark.promise(
    "Many nodes",
    "Workers of uvicorn, `fastapi run`, gunicorn (also preloaded), hypercorn, granian and `serve` share their "
    "rooms with nothing configured",
)
@pytest.mark.parametrize("name", [*WAYS, "serve"])
async def test_the_workers_of_a_command_share_their_rooms(name: str, tmp_path: Path) -> None:
    async with run(name, tmp_path) as (url, program), crowd() as peers:
        everybody = stays, leaves, other, goes = await peers.spread(url, "gate", each=2)
        await peers.settled(*everybody)
        await asyncio.gather(*(say(*both) for both in itertools.permutations(everybody, 2)))
        assert await leaves.ask("leave_room", {"room": "gate"}) == {"ok": True}
        await other.hears("peer_disconnected", peerId=leaves.peer_id, reason="left")
        await goes.abort()
        await stays.hears("peer_disconnected", peerId=goes.peer_id, reason="disconnected")
        await peers.settled(stays, other)
        await check_nodes(name, url, stays, other)
        for wrong in ("Traceback", "ERROR", "WARNING", "rooms in memory"):
            assert wrong not in program.output, program.output
        program.send_signal(signal.SIGTERM)
        await program.wait(15)
        for wrong in ("/walkie_signal/", "was destroyed", WARNING, UNSTARTED):  # hypercorn logs its own end
            assert wrong not in program.output, program.output


async def check_nodes(name: str, url: str, *peers: RawPeer) -> None:
    """Check that each peer is on a node of its own, as the routes of the app tell, if it has one for that."""
    if name == "serve" or WAYS[name].code == NAMESPACE:
        return
    async with web(re.sub("/api$", "", url)) as http:
        members = (await http.get("/rooms/gate")).json()
    assert {each["peer_id"] for each in members} == {peer.peer_id for peer in peers}
    assert len({each["node"] for each in members}) == len(peers), members
