"""The Python in the docs: the blocks of a page are run one after the other, as a reader would type them.

A block that makes an `app` is served, and two peers meet there. One that awaits at its top level runs while the
page's app is served and a peer is in a room. One that calls `asyncio.run` is a program of its own.
"""

from __future__ import annotations

import ast
import inspect
import logging
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from docs.pages import PAGES, SERVER, Block, Page
from support.peers import raw_peer
from support.processes import SCRIPTS, running
from support.servers import hosted, serve
from support.stock import meet, peers, refusal, web

SECRET = "a secret of at least thirty-two bytes, for the tests"
SITE = "gate"
ROUTE = '.get("/rooms/{room}")'


def token(**claims: Any) -> str:
    stays = {"sub": "u-7", "role": "guard", "sites": [SITE], "exp": time.time() + 600}
    return jwt.encode({**stays, **claims}, SECRET, algorithm="HS256")


def path_of(block: Block) -> str:
    found = re.search(r'path="([^"]+)"', block.code)
    return found[1] if found else "/socket.io"


class Reader:
    """Types a page's blocks in, and tries what they make."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "typed_in"}
        self.served = "/socket.io"
        self.auth: dict[str, str] | None = None
        self.heard: list[str] = []
        """What the peer has to hear before the block that it is there for is over."""

    async def read(self, block: Block) -> None:
        if "asyncio.run(" in block.code:
            await self.run_program(block)
            return
        before = self.names.get("app")
        code = compile(block.code, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            await self.use(code)
            return
        exec(code, self.names)  # noqa: S102 - that is what a reader does with it
        if self.names.get("app") is not before:
            self.auth = {"token": token()} if re.search("jwt.decode|JWTAuth", block.code) else None
            self.served = path_of(block)
            await self.serve(block)

    async def serve(self, block: Block) -> None:
        async with hosted(self.names["app"]) as url:
            await meet(url, path=self.served, auth=self.auth)
            if ROUTE in block.code:
                async with peers(url, SITE, path=self.served), httpx.AsyncClient(base_url=url) as http:
                    answer = await http.get(f"/rooms/{SITE}")
                    assert [member["room"] for member in answer.json()] == [SITE]

    async def use(self, code: Any) -> None:
        async with hosted(self.names["app"]) as url, peers(url, None, path=self.served) as (peer,):
            await peer.join(SITE, userId="u-7")
            await eval(code, self.names)  # noqa: S307 - the block, compiled as a coroutine
            for event in self.heard:
                await peer.hears(event)

    async def run_program(self, block: Block) -> None:
        async with serve() as serving:
            code = block.code.replace(SERVER, serving.url)
            async with running([sys.executable, "-W", "error", "-c", code]) as program:
                await program.line(r"'ok': True")
                assert await program.wait() == 0, program.output


async def read(page: Page, *heard: str) -> Reader:
    reader = Reader()
    reader.heard.extend(heard)
    for block in page.blocks("python"):
        await reader.read(block)
    return reader


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    yield
    logging.getLogger("walkie_signal").setLevel(logging.NOTSET)


@pytest.mark.promise("The docs", "The Python, JavaScript and Java code in them runs")
@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("page", [page for page in PAGES.values() if list(page.blocks("python"))], ids=str)
async def test_a_page_does_what_it_says(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    await read(page)


WAYS_IN = list(PAGES["docs/fastapi.md"].blocks("python"))[:5]


@pytest.mark.promise(
    "The docs",
    "Each way into an app runs by itself; an app that sets up logging as the page says shows our lines",
)
@pytest.mark.parametrize("block", WAYS_IN, ids=str)
async def test_each_way_into_an_app_runs_by_itself(block: Block) -> None:
    """A reader needs one of them, and copies that one."""
    await Reader().read(block)


def test_no_python_is_passed_over() -> None:
    languages = {block.language for page in PAGES.values() for block in page.blocks()}
    assert languages == {"python", "js", "json", "java", "sh", "text", "ini", "nginx", "groovy", "house"}
    assert sum(1 for page in PAGES.values() for _ in page.blocks("python")) > 10


async def read_up_to(page: Page, words: str) -> Reader:
    """Type in a page up to the first block with `words`, serving nothing."""
    reader = Reader()
    for block in page.blocks("python"):
        exec(block.code, reader.names)  # noqa: S102
        if words in block.code:
            reader.served = path_of(block)
            return reader
    raise AssertionError(f"no block with {words!r} in {page.name}")


async def test_the_jwt_example_lets_in_whom_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    reader = await read_up_to(PAGES["docs/fastapi.md"], "jwt.decode")
    forged = jwt.encode({"sub": "u-7", "exp": time.time() + 600}, SECRET[::-1], algorithm="HS256")
    path = reader.served
    async with hosted(reader.names["app"]) as url:
        for auth in (None, {"token": forged}, {"token": token(exp=time.time() - 5)}):
            assert (await refusal(url, path=path, auth=auth))["data"]["code"] == "unauthorized"
        async with peers(url, None, path=path, auth={"token": token()}) as (peer,):
            elsewhere = await peer.ask("join_room", {"room": "vault"})
            assert elsewhere["error"]["code"] == "forbidden"
            await peer.join(SITE, userId="somebody else")
            roster = await peer.hears("room_status")
            assert roster["members"] == [{"userId": "u-7", "role": "guard", "peerId": peer.peer_id}]


async def test_the_host_calls_a_guard_and_ends_the_shift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    reader = await read(PAGES["docs/fastapi.md"], "incoming_call", "disconnect")
    said = capsys.readouterr().out
    assert f"['{SITE}']" in said
    assert "FCM" not in said, "it was reached, so there was nobody to wake"
    assert f"u-7 left {SITE} kicked" in said
    await reader.names["call_guard"]("nobody", SITE)
    assert "FCM for nobody" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "event"), [("def ping_test(sid, data)", "ping_test"), ("class Patrol", "ping_test")]
)
async def test_an_event_of_the_hosts_own_is_answered(
    words: str, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    reader = await read_up_to(PAGES["docs/fastapi.md"], words)
    async with hosted(reader.names["app"]) as url, peers(url, "gate", path=reader.served) as (peer,):
        assert await peer.ask(event, 7) == {"pong": 7}


async def test_an_old_app_gets_an_identity_of_its_own() -> None:
    reader = await read_up_to(PAGES["docs/migration.md"], "old-app-")
    async with hosted(reader.names["app"]) as url, peers(url, "gate", "gate") as (one, other):
        roster = (await one.hears("new_peer", peerId=other.peer_id), await other.hears("new_peer"))
        names = {each["userId"] for each in roster}
        assert len(names) == 2
        assert all(name.startswith("old-app-") for name in names)
        assert (await refusal(url, auth={"token": "forged"}))["data"]["code"] == "unauthorized"


LOGGING = "logging.getLogger("


@pytest.mark.promise(
    "The docs",
    "Each way into an app runs by itself; an app that sets up logging as the page says shows our lines",
)
@pytest.mark.parametrize("set_up", [True, False])
async def test_an_app_shows_our_news_once_its_logging_is_set_up(set_up: bool, tmp_path: Path) -> None:  # noqa: FBT001
    (block,) = [each for each in PAGES["docs/operations.md"].blocks("python") if LOGGING in each.code]
    lines = block.code.splitlines(keepends=True)
    kept = [line for line in lines if set_up or not line.startswith("logging.")]
    (tmp_path / block.title).write_text("".join(kept))
    command: list[str | Path] = [SCRIPTS / "uvicorn", "main:app", "--port", "0"]
    async with running(command, cwd=tmp_path) as program:
        url = (await program.line(r"running on (http://\S+)"))[1]
        async with raw_peer(url) as peer, web(url) as http:
            assert (await http.get("/socket.io/?EIO=3&transport=polling")).is_client_error
            await peer.connect()
            await peer.send("4x")
            await peer.closed()
        await program.line("connection closed: an unknown packet type")
        assert ("INFO:     handshake refused: Unsupported" in program.output) is set_up, program.output
