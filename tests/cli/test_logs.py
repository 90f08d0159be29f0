"""What ``walkie-signal serve`` logs, and what it never does."""

from __future__ import annotations

import json
import logging
import re
import signal
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from support.bare import bare_serve
from support.peers import raw_peer
from support.processes import SCRIPTS, running
from support.servers import Serving, free_port, hosted, serve
from support.stock import TRANSPORTS, peers, refusal, web
from walkie_signal import Identity, Settings, SignalingError, attach
from walkie_signal.bounded_log import MOST

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


@pytest.mark.promise("The command", "`--help` is quick; no token is logged")
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


# The end


@pytest.mark.promise(
    "The command",
    "Each refusal logs one line with its code and address, and these lines are bounded; the end logs counts",
)
@pytest.mark.parametrize("run", [serve, bare_serve], ids=["fast", "bare"])
async def test_its_end_is_told_with_counts(run: Any) -> None:
    async with run("--drain-spread", "3") as server, AsyncExitStack() as stack:
        await stack.enter_async_context(peers(server.url, "gate", None, transport="websocket"))
        await stack.enter_async_context(peers(server.url, "gate", transport="polling"))
        server.program.send_signal(signal.SIGTERM)
        assert await server.program.wait() == 0
        assert "draining: peers told to come back within 3 s: 3\n" in server.program.output
        assert re.search(r"ended: connections closed in \d\.\d s: [345]\n$", server.program.output)


# Refusals: what the log says, and how often


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines of ours, without what each run says of its end."""
    lines = [
        (record.name, record.getMessage()) for record in caplog.records if record.levelno >= logging.INFO
    ]
    return [text for name, text in lines if name.startswith("walkie_signal") and ": peers " not in text]


def door(credentials: Any) -> Any:
    if credentials.token == "raises":
        raise SignalingError("unauthorized", f"not with {SECRET}")
    return Identity("u-1", "guard") if credentials.token == "right" else None


@pytest.mark.promise(
    "The command",
    "Each refusal logs one line with its code and address, and these lines are bounded; the end logs counts",
)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("token", [SECRET, "raises", ""])
async def test_a_refused_token_is_a_line_without_it(
    token: str, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with hosted(attach(Starlette(), authenticate=door)) as url:
        said = await refusal(url, transport=transport, auth={"token": token, "secret": SECRET})
        assert said["data"]["code"] == "unauthorized"
    assert told(caplog) == ["connect refused: unauthorized (from 127.0.0.1)"]
    assert SECRET not in caplog.text


@pytest.mark.promise(
    "The command",
    "Each refusal logs one line with its code and address, and these lines are bounded; the end logs counts",
)
@pytest.mark.parametrize("answer", ["false", "raises"])
async def test_a_refusal_of_the_host_s_connect_is_a_line(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = attach(Starlette())

    async def connect(sid: str, environ: Any, auth: Any) -> bool:
        if answer == "raises":
            raise ConnectionRefusedError(SECRET)
        return False

    app.sio.on("connect", connect)
    async with hosted(app) as url:
        await refusal(url, auth={"token": SECRET})
    assert told(caplog) == ["connect refused: by the host's connect (from 127.0.0.1)"]
    assert SECRET not in caplog.text


@pytest.mark.promise(
    "The command",
    "Each refusal logs one line with its code and address, and these lines are bounded; the end logs counts",
)
async def test_what_a_peer_may_not_is_a_line_and_its_mistakes_are_told_to_whom_debugs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "walkie_signal")
    settings = Settings(room_capacity=1)
    app = attach(Starlette(), settings=settings, authorize=lambda _, room: room != "closed")
    async with hosted(app) as url, peers(url, "full", None) as (_, peer):
        for event, payload in (
            ("join_room", {"room": "closed"}),
            ("join_room", {"room": "full"}),
            ("signal", {"targetId": SECRET, "signal": SECRET}),
            (SECRET, {}),
        ):
            assert (await peer.ask(event, payload))["ok"] is False
        by = f"(peer {peer.peer_id}, websocket, from 127.0.0.1)"
    assert told(caplog) == [f"join_room refused: forbidden {by}", f"join_room refused: room_full {by}"]
    for debugged in ("signal refused: not_in_room", "an event refused: unknown_event"):
        assert f"{debugged} {by}" in caplog.messages
    assert SECRET not in caplog.text


HANDSHAKES = {
    "EIO=3&transport=polling": "Unsupported protocol version",
    "EIO=4&transport=carrier-pigeon": "Transport unknown",
    "EIO=4&transport=polling&j=0": "Bad request",
}


@pytest.mark.promise(
    "The command",
    "Each refusal logs one line with its code and address, and these lines are bounded; the end logs counts",
)
async def test_a_handshake_that_is_refused_is_a_line_and_a_session_that_is_gone_is_none() -> None:
    async with serve() as server, web(server.url) as http:
        for query in [*HANDSHAKES, "EIO=4&transport=polling&sid=gone"]:
            assert (await http.get(f"/socket.io/?{query}&token={SECRET}")).status_code == 400
        lines = server.program.output.splitlines()
        assert [line.partition("handshake ")[2] for line in lines[1:]] == [
            f"refused: {why} (from 127.0.0.1)" for why in HANDSHAKES.values()
        ]
        assert SECRET not in server.program.output


async def test_who_joins_nothing_is_a_line() -> None:
    async with serve("--connect-timeout", "0.2") as server, raw_peer(server.url) as peer:
        await peer.closed(within=5)
        await server.program.line(
            r"INFO +connection closed: it joins nothing \(websocket, from 127\.0\.0\.1\)"
        )


@pytest.mark.promise(
    "The command",
    "Each refusal logs one line with its code and address, and these lines are bounded; the end logs counts",
)
async def test_a_flood_of_each_is_so_many_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind has its own bound: a flood of one hides nothing else."""
    caplog.set_level(logging.INFO)

    def authorize(*_: object) -> bool:
        raise RuntimeError

    async with hosted(attach(Starlette(), authenticate=door, authorize=authorize)) as url:
        for _ in range(2 * MOST):
            async with raw_peer(url) as peer:
                await peer.connect()
            async with raw_peer(url) as peer:
                await peer.connect({"token": "right"})
                await peer.ask("join_room", {"room": "gate"})
                await peer.send("4x")
                await peer.closed()
    kinds = [line.partition(" (")[0] for line in told(caplog)]
    for kind in (
        "connect refused: unauthorized",
        "authorize failed",
        "connection closed: an unknown packet type",
    ):
        assert kinds.count(kind) == MOST, kinds
