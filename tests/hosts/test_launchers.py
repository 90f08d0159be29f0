"""The commands that a host's app is run by, with the README's own lines: what serves `main.py` serves signaling."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from docs.pages import PAGES
from hosts.test_cors import POLL
from hosts.test_servers import WARNING, accepts
from support.processes import SCRIPTS, Program, running
from support.servers import free_port
from support.stock import TRANSPORTS, meet, peers, web

UNSTARTED = "nothing has started it"

TELLING = """
from fastapi import FastAPI
from walkie_signal import attach


def authenticate(credentials):
    print("comes from", credentials.client, flush=True)
    return {}


app = attach(FastAPI(), authenticate=authenticate)
"""

Command = Callable[[str], list[str]]

GUNICORN = ["gunicorn", "main:app", "-k", "uvicorn_worker.UvicornWorker"]

COMMANDS: dict[str, Command] = {
    "fastapi-run": lambda port: ["fastapi", "run", "main.py", "--port", port],
    "fastapi-dev": lambda port: ["fastapi", "dev", "main.py", "--port", port],
    "uvicorn": lambda port: ["uvicorn", "main:app", "--port", port],
    "uvicorn-reload": lambda port: ["uvicorn", "main:app", "--reload", "--port", port],
    "gunicorn": lambda port: [*GUNICORN, "--bind", f"127.0.0.1:{port}"],
    "gunicorn-preload": lambda port: [*GUNICORN, "--preload", "--bind", f"127.0.0.1:{port}"],
}


def snippet(page: str, words: str) -> str:
    """Return the block of a page that has these words."""
    return next(block.code for block in PAGES[page].blocks("python") if words in block.code)


@asynccontextmanager
async def launched(command: Command, folder: Path, code: str) -> AsyncIterator[tuple[str, Program]]:
    """Run a command on a `main.py` with that code; gives its URL and the program."""
    (folder / "main.py").write_text(code)
    port = str(free_port())
    program, *arguments = command(port)
    home = {"HOME": str(folder)}  # where gunicorn puts a socket
    async with running([SCRIPTS / program, *arguments], cwd=folder, env=home) as server:
        await accepts(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", server


@pytest.mark.promise(
    "Hosts",
    "The README's app serves signaling under `fastapi run`, `fastapi dev`, uvicorn, its reload, and "
    "gunicorn; asking a signaling that nothing started logs a warning",
)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
async def test_the_readme_s_app_serves_signaling_by_whatever_command_runs_it(
    command: Command, tmp_path: Path
) -> None:
    code = snippet("README.md", "FastAPI()")
    async with launched(command, tmp_path, code) as (url, program), web(url) as http:
        answer = await http.get(POLL)
        assert (answer.status_code, answer.text[:2]) == (200, "0{"), program.output
        for transport in TRANSPORTS:
            await meet(url, transport=transport)
        async with peers(url, "gate"):
            assert [each["room"] for each in (await http.get("/rooms/gate")).json()] == ["gate"]
        program.send_signal(signal.SIGTERM)
        await program.wait(15)
        for wrong in ("Traceback", WARNING, UNSTARTED, "ERROR"):
            assert wrong not in program.output, program.output


@pytest.mark.parametrize(
    ("options", "address"), [(["--forwarded-allow-ips", "*"], "203.0.113.9"), ([], "None")]
)
async def test_an_app_by_a_unix_socket_learns_the_address_from_a_proxy_that_is_believed(
    options: list[str], address: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(TELLING)
    path = tmp_path / "app.sock"

    def through() -> aiohttp.BaseConnector:
        return aiohttp.UnixConnector(path=str(path))

    command: list[str | Path] = [SCRIPTS / "uvicorn", "main:app", "--uds", path, *options]
    async with running(command, cwd=tmp_path) as program:
        await program.line("Uvicorn running on unix socket")
        for transport in TRANSPORTS:
            forwarded = {"X-Forwarded-For": "203.0.113.9"}
            async with peers("http://app", None, transport=transport, headers=forwarded, connector=through):
                pass
        await program.line("comes from")
        assert re.findall("comes from (.+)", program.output) == [address] * 2


@pytest.mark.parametrize("page", ["docs/fastapi.md", "docs/scaling.md"])
async def test_the_first_app_of_a_page_serves_signaling_under_fastapi_run(page: str, tmp_path: Path) -> None:
    code = snippet(page, "FastAPI()")
    path = (re.findall(r'path="([^"]+)"', code) or ["/socket.io"])[0]
    async with launched(COMMANDS["fastapi-run"], tmp_path, code) as (url, program), web(url) as http:
        answer = await http.get(POLL.replace("/socket.io/", f"{path}/"))
        assert (answer.status_code, answer.text[:2]) == (200, "0{"), program.output


@pytest.mark.promise(
    "Hosts",
    "The README's app serves signaling under `fastapi run`, `fastapi dev`, uvicorn, its reload, and "
    "gunicorn; asking a signaling that nothing started logs a warning",
)
async def test_an_app_beside_the_one_that_attach_returned_says_so_once_when_it_is_asked(
    tmp_path: Path,
) -> None:
    """`fastapi run` takes the FastAPI object, which is without signaling."""
    code = snippet("docs/fastapi.md", "app = attach(api")
    async with launched(COMMANDS["fastapi-run"], tmp_path, code) as (url, program), web(url) as http:
        for _ in range(3):
            assert (await http.get("/rooms/gate")).json() == []
        await program.line(UNSTARTED, within=5)
        assert program.output.count(UNSTARTED) == 1


@pytest.mark.promise(
    "Hosts",
    "The README's app serves signaling under `fastapi run`, `fastapi dev`, uvicorn, its reload, and "
    "gunicorn; asking a signaling that nothing started logs a warning",
)
async def test_a_reload_lets_peers_come_back(tmp_path: Path) -> None:
    code = snippet("README.md", "FastAPI()")
    async with launched(COMMANDS["uvicorn-reload"], tmp_path, code) as (url, program):
        async with peers(url, "gate") as (peer,):
            (tmp_path / "main.py").write_text(f"{code}\n\nprint('the second edition', flush=True)\n")
            await peer.hears("disconnect")
        await program.line("the second edition")
        await accepts(url)
        for transport in TRANSPORTS:
            await meet(url, transport=transport)
        async with peers(url, "gate") as (back,):
            await back.hears_roster(back.peer_id)
        assert WARNING not in program.output, program.output
