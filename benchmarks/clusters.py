"""Several nodes over a Redis of their own: nodes and Redis on one core, the load on another.

So each kind of server has the same core for everything that its signals pass, and all of its cost is counted.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from servers import COLUMNS, LEGACY, SCRIPTS, Column, Server, free_port, running

INFO = b"INFO everything\r\n"

REDIS = Column(
    "Redis",
    ("redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
    "Ready to accept connections",
)


@dataclass(frozen=True)
class Kind:
    """Servers of one kind, each by itself or as nodes that share a Redis."""

    title: str
    alone: Column
    node: Column
    tells_whole_rosters: bool
    """Whether the roster of a room has its members on other nodes."""


KINDS = {
    "legacy": Kind(
        "legacy Node with `@socket.io/redis-adapter`",
        COLUMNS["legacy"],
        Column(
            "a legacy node",
            ("node", str(LEGACY / "cluster.js")),
            "ready",
            (("PORT", "{port}"), ("REDIS_URL", "{redis}")),
        ),
        tells_whole_rosters=False,
    ),
    "serve": Kind(
        "`walkie-signal serve --redis-url`",
        COLUMNS["serve"],
        Column(
            "a node of walkie-signal",
            (str(SCRIPTS / "walkie-signal"), "serve", "--port", "{port}", "--redis-url", "{redis}"),
            "listening on",
        ),
        tells_whole_rosters=True,
    ),
}


@dataclass(frozen=True)
class Usage:
    """What nodes and their Redis have used."""

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
        return self.nodes + self.redis

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

    def __truediv__(self, count: float) -> Usage:
        return Usage(*(getattr(self, each.name) / count for each in fields(self)))


class Cluster:
    """Nodes that share a Redis."""

    def __init__(self, kind: Kind, redis: Server, stack: AsyncExitStack) -> None:
        self._kind = kind
        self.redis = redis
        self._stack = stack
        self.nodes: list[Server] = []
        self._asked = 0
        self._told = 0

    async def grow(self, count: int) -> None:
        """Start `count` more nodes."""
        url = self.redis.url.replace("http", "redis", 1)
        nodes = [running(self._kind.node, free_port(), url) for _ in range(count)]
        self.nodes += await asyncio.gather(*map(self._stack.enter_async_context, nodes))

    async def usage(self) -> Usage:
        """Return what has been used so far, without the traffic for asking Redis."""
        nodes = sum(_exact_cpu(node.pid) for node in self.nodes)
        redis = _exact_cpu(self.redis.pid)
        info, size = await self._info()
        calls = {name: int(count) for name, count in re.findall(r"cmdstat_(\S+?):calls=(\d+)", info)}
        calls.pop("info", None)
        received = _figure("total_net_input_bytes", info) - self._asked
        sent = _figure("total_net_output_bytes", info) - self._told
        self._told += size  # Redis counted its traffic before it sent this answer
        publications = calls.get("publish", 0) + calls.get("spublish", 0)
        return Usage(nodes, redis, sum(calls.values()), publications, received, sent)

    async def _info(self) -> tuple[str, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.redis.url.rpartition(":")[2]))
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


def _exact_cpu(pid: int) -> float:
    """Add up the scheduler's nanoseconds of a process's threads: ten joins take less than the nodes' ticks."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


@asynccontextmanager
async def cluster_of(kind: Kind, count: int) -> AsyncIterator[Cluster]:
    """Run `count` nodes and a Redis without persistence until the block is left."""
    if shutil.which("redis-server") is None:
        raise RuntimeError("no redis-server on the PATH, which the part `nodes` needs")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(running(REDIS, free_port()))
        cluster = Cluster(kind, redis, stack)
        await cluster.grow(count)
        yield cluster
