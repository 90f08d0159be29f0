"""Two workers of one service, behind one port, in each way that there is to run them."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from cluster.service import rosters
from hosts import several
from support.processes import SCRIPTS, Program, running
from support.redis import RedisServer, redis_server
from support.servers import free_port, listens, serve

TESTS = Path(__file__).parents[1]


@contextmanager
def machine() -> Iterator[dict[str, str]]:
    """Give the environment of a machine of its own: its workers meet in no folder with those of another.

    A Unix socket's path is too short for `tmp_path`.
    """
    folder = tempfile.mkdtemp(prefix="ws-")
    try:
        yield {"TMPDIR": folder}
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def command(redis: RedisServer, *options: str, number: int = 2) -> AsyncIterator[str]:
    """Run ``walkie-signal serve --workers``; gives the URL of the endpoint."""
    with machine() as env:
        async with serve("--workers", str(number), "--redis-url", redis.url, *options, env=env) as served:
            yield f"{served.url}/socket.io/"
            _no_fault(served.program)


@asynccontextmanager
async def host(redis: RedisServer) -> AsyncIterator[str]:
    """Run a host's app under ``uvicorn --workers``; gives the URL of the endpoint."""
    port = free_port()
    uvicorn: list[str | Path] = [
        SCRIPTS / "uvicorn", "clients.host_app:app", "--app-dir", TESTS, "--port", str(port), "--workers", "2",
    ]  # fmt: skip
    with machine() as env:
        async with running(uvicorn, env={**env, "REDIS_URL": redis.url}) as program:
            await program.says("Application startup complete", 2)
            await listens(port)
            yield f"http://127.0.0.1:{port}/api/socket.io/"
            _no_fault(program)


Way = Callable[[], AbstractAsyncContextManager[str]]


def on_redis(run: Callable[[RedisServer], AbstractAsyncContextManager[str]]) -> Way:
    """Return a way with a Redis server of its own."""

    @asynccontextmanager
    async def way() -> AsyncIterator[str]:
        async with redis_server() as redis, run(redis) as endpoint:
            yield endpoint

    return way


def by_themselves(name: str) -> Way:
    """Return a way in which the workers share rooms with nothing configured."""

    @asynccontextmanager
    async def way() -> AsyncIterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            async with several.run(name, Path(folder)) as (url, program):
                yield f"{url}/socket.io/"
                _no_fault(program)

    return way


WAYS: dict[str, Way] = {
    "the command, on Redis": on_redis(command),
    "a host, on Redis": on_redis(host),
    "the command": by_themselves("serve"),
    **{name: by_themselves(name) for name in ("uvicorn-attach", "gunicorn", "gunicorn-preload")},
}


def _no_fault(program: Program) -> None:
    faults = re.findall(r"^.*(?:Traceback|ERROR|WARNING|never retrieved).*$", program.output, re.MULTILINE)
    assert not faults, program.output


@asynccontextmanager
async def nodes_seen(redis: RedisServer) -> AsyncIterator[set[str]]:
    """Keep looking which nodes hold the members of rooms."""
    seen: set[str] = set()
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            for members in (await rosters(redis)).values():
                seen.update(members.values())
            await asyncio.wait([ended], timeout=0.1)  # members come and go; nothing tells of it

    ended = asyncio.create_task(done.wait())
    looking = asyncio.create_task(look())  # which is not cancelled: redis-py may swallow that
    try:
        yield seen
    finally:
        done.set()
        await looking
