"""Several nodes that share a store: nodes and Redis on one core, the load on another.

So each kind of server has the same core for everything that its signals pass, and all of its cost is counted.
"""

from __future__ import annotations

import asyncio
import math
import re
import shutil
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

from servers import COLUMNS, LEGACY, LIMITS, SCRIPTS, Column, Server, cpu_of, free_port, running

INFO = b"INFO everything\r\n"

REDIS = Column(
    "Redis",
    ("redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
    "Ready to accept connections",
)


@dataclass(frozen=True)
class Kind:
    """Servers of one kind, each by itself or as nodes that share a store."""

    title: str
    alone: Column
    node: Column
    tells_whole_rosters: bool
    """Whether the roster of a room has its members on other nodes."""
    redis: bool = True
    """Whether the store is a Redis; else one of the nodes keeps the rooms."""


KINDS = {
    "legacy": Kind(
        "legacy Node with `@socket.io/redis-adapter`",
        COLUMNS["legacy"],
        Column(
            "a legacy node",
            ("node", str(LEGACY / "cluster.js")),
            "ready",
            (("PORT", "{port}"), ("REDIS_URL", "{store}")),
        ),
        tells_whole_rosters=False,
    ),
    "serve": Kind(
        "`walkie-signal serve --redis-url`, as on two machines",
        COLUMNS["serve"],
        Column(
            "a node over Redis",
            (str(SCRIPTS / "walkie-signal"), "serve", "--port", "{port}", "--redis-url", "{store}"),
            "listening on",
            (("RUNTIME_DIRECTORY", "{folder}"), *LIMITS),
        ),
        tells_whole_rosters=True,
    ),
    "together": Kind(
        "the same on one machine",
        COLUMNS["serve"],
        Column(
            "a node over Redis, with others on its machine",
            (str(SCRIPTS / "walkie-signal"), "serve", "--port", "{port}", "--redis-url", "{store}"),
            "listening on",
            LIMITS,
        ),
        tells_whole_rosters=True,
    ),
    "machine": Kind(
        "`walkie-signal serve --backend machine:…`",
        COLUMNS["serve"],
        Column(
            "a node with no Redis",
            (str(SCRIPTS / "walkie-signal"), "serve", "--port", "{port}", "--backend", "machine:{store}"),
            "listening on",
            LIMITS,
        ),
        tells_whole_rosters=True,
        redis=False,
    ),
}


@dataclass(frozen=True)
class Usage:
    """What nodes and their Redis have used; what Redis has used is not a number if there is none."""

    nodes: float
    """Seconds of CPU of the nodes; `redis` has those of Redis."""
    redis: float
    commands: float
    """Commands that Redis carried out, including those in scripts."""
    publications: float
    """The commands among them that publish."""
    received: float
    """Bytes that Redis has read; `sent` has those that it has sent."""
    sent: float

    @property
    def cpu(self) -> float:
        return self.nodes + (0 if math.isnan(self.redis) else self.redis)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    def __truediv__(self, count: float) -> Usage:
        return Usage(*(getattr(self, each.name) / count for each in fields(self)))


class Cluster:
    """Nodes that share a store."""

    def __init__(
        self, kind: Kind, store: str, redis: Server | None, folder: Path, stack: AsyncExitStack
    ) -> None:
        self._kind = kind
        self._store = store
        self.redis = redis
        self._folder = folder
        self._stack = stack
        self.nodes: list[Server] = []
        self._asked = 0
        self._told = 0

    async def grow(self, count: int) -> None:
        """Start `count` more nodes."""
        folders = [self._folder / str(len(self.nodes) + number) for number in range(count)]
        for folder in folders:
            folder.mkdir(mode=0o700)
        nodes = [
            running(self._kind.node, free_port(), store=self._store, folder=str(folder)) for folder in folders
        ]
        self.nodes += await asyncio.gather(*map(self._stack.enter_async_context, nodes))

    async def usage(self) -> Usage:
        """Return what has been used so far, without the traffic for asking Redis."""
        nodes = self.cpu_of_nodes()
        if self.redis is None:
            return Usage(nodes, *[math.nan] * 5)
        redis = cpu_of(self.redis.pid)
        info, size = await self._info(self.redis)
        calls = {name: int(count) for name, count in re.findall(r"cmdstat_(\S+?):calls=(\d+)", info)}
        calls.pop("info", None)
        received = _figure("total_net_input_bytes", info) - self._asked
        sent = _figure("total_net_output_bytes", info) - self._told
        self._told += size  # Redis counted its traffic before it sent this answer
        publications = calls.get("publish", 0) + calls.get("spublish", 0)
        return Usage(nodes, redis, sum(calls.values()), publications, received, sent)

    def cpu_of_nodes(self) -> float:
        """Return the seconds of CPU that the nodes have used so far."""
        return sum(cpu_of(node.pid) for node in self.nodes)

    async def _info(self, redis: Server) -> tuple[str, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(redis.url.rpartition(":")[2]))
        writer.write(INFO)
        head = await reader.readline()
        body = await reader.readexactly(int(head[1:]) + 2)
        writer.close()
        await writer.wait_closed()
        self._asked += len(INFO)
        return body.decode(), len(head) + len(body)

    async def spent(self, work: Awaitable[object]) -> Usage:
        """Return what is used while `work` is awaited."""
        before = await self.usage()
        await work
        return await self.usage() - before


def _figure(name: str, info: str) -> int:
    found = re.search(rf"^{name}:(\d+)", info, re.MULTILINE)
    assert found is not None
    return int(found[1])


@asynccontextmanager
async def cluster_of(kind: Kind, count: int) -> AsyncIterator[Cluster]:
    """Run `count` nodes, and their Redis without persistence, until the block is left."""
    if kind.redis and shutil.which("redis-server") is None:
        raise RuntimeError("no redis-server on the PATH, which the part `nodes` needs")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        store, redis = str(folder), None
        if kind.redis:
            redis = await stack.enter_async_context(running(REDIS, free_port()))
            store = redis.url.replace("http", "redis", 1)
        cluster = Cluster(kind, store, redis, folder, stack)
        await cluster.grow(count)
        yield cluster
