"""Real sentinels for a test, and the servers that they watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from support.processes import running
from support.redis import RedisServer
from support.servers import free_port
from support.waiting import eventually

SERVICE = "walkie"


class Sentinel:
    """A sentinel that listens.

    Attributes:
        port: The port on loopback.
    """

    def __init__(self, port: int, password: str | None) -> None:
        self.port = port
        self._password = password

    async def command(self, *arguments: Any) -> Any:
        """Send a command; text comes back as str."""
        async with Redis(port=self.port, password=self._password, decode_responses=True) as connection:
            return await connection.execute_command(*arguments)  # type: ignore[no-untyped-call]

    async def facts(self) -> dict[str, str]:
        """Return what the sentinel knows about the primary."""
        found: dict[str, str] = await self.command("SENTINEL", "MASTER", SERVICE)
        return found

    async def knows(self, *, sentinels: int, replicas: int, within: float = 20.0) -> None:
        """Wait until the sentinel knows that many other sentinels and replicas."""

        def known(facts: dict[str, str]) -> bool:
            return (int(facts["num-other-sentinels"]), int(facts["num-slaves"])) == (sentinels, replicas)

        await eventually(self.facts, known, within=within)


@asynccontextmanager
async def sentinel(
    folder: Path, primary: int, *lines: str, password: str | None = None, tls: bool = False
) -> AsyncIterator[Sentinel]:
    """Run a sentinel that watches the server at a port of loopback; `lines` are added to its configuration."""
    port = free_port()
    configuration = folder / f"sentinel-{port}.conf"
    settings = [
        f"port {0 if tls else port}",
        f"tls-port {port}" if tls else "bind 127.0.0.1",
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 2",
        f"sentinel down-after-milliseconds {SERVICE} 1000",
        f"sentinel failover-timeout {SERVICE} 3000",
        *([f"requirepass {password}"] if password else []),
        *lines,
    ]
    configuration.write_text("\n".join(settings))
    async with running(["redis-server", configuration, "--sentinel"]) as program:
        await program.line(r"\+monitor")
        yield Sentinel(port, password)


async def follows(replica: RedisServer, within: float = 20.0) -> None:
    """Wait until a replica has the data of its primary."""
    await eventually(
        lambda: replica.command("INFO", "replication"),
        lambda facts: facts["master_link_status"] == "up",
        within=within,
    )
