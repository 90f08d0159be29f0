"""What ``walkie-signal serve`` logs, and what it never does."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import httpx

from hosts.peers import TRANSPORTS, peers, web
from support.processes import SCRIPTS, running
from support.servers import Serving, free_port, serve

SECRET = "hunter2-in-the-query"


async def use(server: Serving) -> None:
    """Connect with a token in the query, do what is right and what is wrong."""
    for transport in TRANSPORTS:
        url = f"{server.url}/?token={SECRET}"
        async with peers(url, "gate", transport=transport, auth={"token": SECRET}) as (peer,):
            await peer.ask("signal", {"targetId": "nobody", "signal": SECRET})
    async with web(server.url) as http:
        for path in ("/nowhere", "/socket.io/?EIO=3&transport=polling&", "/socket.io/?EIO=4&sid=gone&"):
            await http.get(path, params={"token": SECRET})
        await http.post(f"/socket.io/?EIO=4&transport=polling&token={SECRET}", content="nonsense")


async def test_no_token_is_logged_at_any_level() -> None:
    """Nor a payload; nor is there a traceback for what a client does."""
    async with serve("--log-level", "debug") as server:
        await use(server)
        assert SECRET not in server.program.output
        assert "Traceback" not in server.program.output


async def test_json_is_one_object_a_line() -> None:
    async with serve("--log-format", "json", "--host", "0.0.0.0") as server:
        await use(server)
        assert SECRET not in server.program.output
        lines = [json.loads(line) for line in server.program.output.splitlines()]
    for line in lines:
        assert {*line} >= {"time", "level", "logger", "process", "message"}, line
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
    levels = {"listening on": "info", "open to other machines": "warning"}
    for text, level in levels.items():
        assert [line["level"] for line in lines if text in line["message"]] == [level]


async def test_a_level_hides_what_is_below_it() -> None:
    port = free_port()
    command: list[str | Path] = [SCRIPTS / "walkie-signal", "serve"]
    async with running([*command, "--port", str(port), "--log-level", "error"]) as program:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=8)) as http:
            assert (await http.get(f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling")).is_success
        assert program.output == ""
