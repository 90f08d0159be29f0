"""What ``walkie-signal serve`` tells a balancer or an orchestrator: that it runs, and that peers can join."""

from __future__ import annotations

import re

import httpx
import pytest

from support.processes import Program
from support.redis import redis_server
from support.servers import free_port, serve
from support.stock import meet, web
from support.waiting import eventually

WITHIN = 10.0
"""Seconds in which a node is ready once Redis is there."""


async def is_answered(http: httpx.AsyncClient, path: str, status: int, within: float = WITHIN) -> None:
    """Ask again and again until the answer has that status."""
    close = {"connection": "close"}  # the next may come to another worker
    await eventually(
        lambda: http.get(path, headers=close), lambda answer: answer.status_code == status, within=within
    )


async def all_connected(program: Program, workers: int) -> None:
    """Wait until each worker has said so: a probe is answered by one of them."""
    connected = re.compile("Redis at .*: connected")
    await eventually(
        lambda: program.output, lambda output: len(connected.findall(output)) >= workers, within=WITHIN
    )


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_is_answered_with_one_word(path: str) -> None:
    async with serve() as server, web(server.url) as http:
        got = await http.get(path)
        assert (got.status_code, got.text) == (200, "ok\n")
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["content-type"].startswith("text/plain")
        head = await http.head(path)
        assert (head.status_code, head.text) == (200, "")
        assert head.headers["content-length"] == "3"
        posted = await http.post(path)
        assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
        for elsewhere in (f"{path}/", f"{path}x", path.upper()):
            assert (await http.get(elsewhere)).status_code == 404


@pytest.mark.promise("Many nodes", "`/readyz` says whether peers can join; no log line holds Redis' password")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_node_is_ready_while_redis_is_there(workers: str) -> None:
    """Also where it comes later than the node, which starts all the same, and where it goes and comes back."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    async with serve("--redis-url", url, "--workers", workers) as server, web(server.url) as http:
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "unavailable\n")
        await is_answered(http, "/healthz", 200)
        assert server.program.output.count("WARNING") == int(workers), server.program.output
        async with redis_server(port) as redis:
            await is_answered(http, "/readyz", 200)
            await all_connected(server.program, int(workers))
            await meet(server.url)
            await redis.kill()
            await is_answered(http, "/readyz", 503, within=3.0)
            await is_answered(http, "/healthz", 200)
            await redis.restart()
            await is_answered(http, "/readyz", 200)
        assert "Traceback" not in server.program.output, server.program.output
