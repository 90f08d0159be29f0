"""The code on the client pages where it is refused, and where its token ends."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from auth.issuer import SECRET, token
from clients.test_java import jar
from docs.pages import PAGES, SERVER
from docs.test_clients import ANDROID, WEB, android_classes
from support.node import PEERS, require_packages
from support.processes import Program, running
from support.servers import Serving, serve
from support.stock import StockPeer, peers

__all__ = ["jar"]

pytestmark = pytest.mark.promise("The docs", "The Python, JavaScript and Java code in them runs")

SECRETS = {"WALKIE_SIGNAL_JWT_SECRET": SECRET}
SHOWN = '"from your login"'
"""What stands for a token on the pages."""

SECONDS = 4.0
"""For how long the token of `ending` is good, which has whole seconds."""


def ending(user: str = "guard-7") -> str:
    """Return a token that ends soon."""
    return token(sub=user, exp=time.time() + SECONDS)


@asynccontextmanager
async def guarded() -> AsyncIterator[tuple[Serving, StockPeer]]:
    """Run a server that lets a user have one connection; yields it with a peer in the room of the pages."""
    options = ("--user-connections", "refuse", "--ping-interval", "0.5", "--ping-timeout", "0.5")
    async with (
        serve(*options, "--jwt-leeway", "0", env=SECRETS) as serving,
        peers(serving.url, "gate", auth={"token": token(sub="witness")}) as (witness,),
    ):
        yield serving, witness


async def outlives_its_token(serving: Serving, witness: StockPeer) -> None:
    """Check that the one in the room is still there when another one, whose token ended later, is not."""
    guard = (await witness.hears("new_peer", userId="guard-7"))["peerId"]
    async with peers(serving.url, "gate", auth={"token": ending("another")}) as (another,):
        await witness.hears("peer_disconnected", peerId=another.peer_id, reason="expired")
    assert await witness.ask("signal", {"targetId": guard, "signal": 1}) == {"ok": True}


@asynccontextmanager
async def web_page(url: str, tokens: Sequence[str]) -> AsyncIterator[Program]:
    """Run the code of the web page, but for the block that waits for an answer; it shows these tokens in order."""
    code = "".join(block.code for block in WEB.blocks("js") if '"nobody"' not in block.code)
    assert f"return {SHOWN};" in code
    code = code.replace(SHOWN, "tokens.shift()").replace(SERVER, url) + f"const tokens = {[*tokens]};"
    require_packages()
    async with running(["node", "--input-type=module", "-e", code], cwd=PEERS) as program:
        yield program


@pytest.mark.node
async def test_the_web_page_s_code_shows_fresh_tokens_and_waits_as_long_as_it_is_told() -> None:
    async with guarded() as (serving, witness), AsyncExitStack() as stack:
        async with web_page(serving.url, ["bad"]) as program:
            await program.line("^refused: unauthorized")
            await program.line("^log in again")
        async with peers(serving.url, None, auth={"token": token()}):
            page = web_page(serving.url, [ending(), ending(), token()])
            program = await stack.enter_async_context(page)
            await program.line("^refused: already_connected")
        await program.line("^joined gate")
        await outlives_its_token(serving, witness)
        assert "log in again" not in program.output


@pytest.mark.java
async def test_the_android_page_s_code_asks_for_a_token_and_shows_it(jar: Path, tmp_path: Path) -> None:
    """At first it has a bad one, then one that ends."""
    asked = 'System.out.println("log in again");'
    replaced = {
        SHOWN: "args[1]",
        "Signaling[] signaling": "java.util.Iterator<String> tokens ="
        "java.util.Arrays.asList(args).listIterator(2); Signaling[] signaling",
        asked: f"{asked} try {{ signaling[0].setToken(tokens.next()); }}"
        "catch (org.json.JSONException e) { throw new IllegalStateException(e); }",
    }
    assert all(text in "".join(block.code for block in ANDROID.blocks("java")) for text in replaced)
    classes = await android_classes(jar, tmp_path, replaced)
    async with guarded() as (serving, witness):
        command = ["java", "-cp", classes, "Guard", serving.url, "bad", ending(), token()]
        async with running(command) as program:
            await outlives_its_token(serving, witness)
            assert program.output.count("log in again") == 2


async def test_the_python_program_stops_when_it_is_refused_at_a_reconnect() -> None:
    (block,) = PAGES["docs/clients/index.md"].blocks("python")
    for text in (SHOWN, "await sio.disconnect()"):
        assert text in block.code
    async with guarded() as (serving, witness):
        code = block.code.replace(SERVER, serving.url).replace(SHOWN, f'"{ending()}"')
        code = code.replace("await sio.disconnect()", "await sio.wait()")
        async with running([sys.executable, "-W", "error", "-c", code]) as program:
            await witness.hears("peer_disconnected", reason="expired")
            assert await program.wait() == 0, program.output
            told = program.output.splitlines()
            assert "'code': 'unauthorized'" in told[1], told
            assert told[2:] == ["refused: unauthorized"]
