"""The JavaScript and the Java in the docs, run with the stock libraries against a server."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clients.test_java import jar
from docs.pages import DOCS, PAGES, SERVER
from support.cut import cut
from support.node import PEERS, require_packages
from support.processes import running
from support.servers import serve
from support.stock import peers

__all__ = ["jar"]

WEB = PAGES["docs/clients/web.md"]
ANDROID = PAGES["docs/clients/android.md"]
PAGE = (DOCS / "examples" / "call.html").read_text("utf-8")


@pytest.mark.promise("The docs", "The Python, JavaScript and Java code in them runs")
@pytest.mark.node
async def test_the_web_page_s_code_joins_hears_and_comes_back() -> None:
    require_packages()
    async with serve() as serving:
        code = "".join(block.code for block in WEB.blocks("js")).replace(SERVER, serving.url)
        assert serving.url in code
        async with running(["node", "--input-type=module", "-e", code], cwd=PEERS) as program:
            mine = (await program.line(r"^joined gate as (\S+) with 0 peers"))[1]
            await program.line("^not sent: peer_not_found")
            async with peers(serving.url, None) as (peer,):
                await peer.join("gate", userId="u-8", role="supervisor")
                assert (await peer.hears("new_peer", userId="u-7"))["peerId"] == mine
                polite = str(mine > peer.peer_id).lower()
                await program.line(rf"^here: u-8 supervisor .*{peer.peer_id}.*polite: {polite}")
                await program.line(r"^gate \[ 'u-7', 'u-8' \]")
                kept = peer.peer_id
            await program.line(f"^gone: {kept}")
            serving.program.send_signal(signal.SIGTERM)
            await program.line("^lost: .* reconnects by itself")


OFFLINE = """
let other;
socket.on("new_peer", ({ peerId }) => { other = peerId; });
socket.on("disconnect", () => {
  send(other, "of a call that is over");
  socket.emit("signal", { targetId: other, signal: "saved" }, answer => console.log("saved:", answer.ok));
});
console.log("ready");
"""


@pytest.mark.promise("The docs", "The Python, JavaScript and Java code in them runs")
@pytest.mark.node
@pytest.mark.parametrize("times", [1, 3])
async def test_the_web_page_s_code_is_right_across_a_cut(times: int) -> None:
    """It is in its room again, under a new id, and what a stock client saved meanwhile arrives behind that."""
    require_packages()
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(serve())
        (peer,) = await stack.enter_async_context(peers(serving.url, None))
        proxy = await stack.enter_async_context(cut(int(serving.url.rpartition(":")[2])))
        code = "".join(block.code for block in WEB.blocks("js")) + OFFLINE
        code = code.replace(SERVER, f"http://127.0.0.1:{proxy.port}")
        command: list[str | Path] = ["node", "--input-type=module", "-e", code]
        program = await stack.enter_async_context(running(command, cwd=PEERS))
        await program.line("^ready")
        await peer.join("gate", userId="u-8")
        before = (await peer.hears("new_peer", userId="u-7"))["peerId"]
        await program.line("^here: u-8")
        for _ in range(times):
            peer.heard.clear()
            proxy.open = False
            proxy.cut()
            await program.line("^lost: .* reconnects by itself")
            assert (await peer.hears("peer_disconnected"))["peerId"] == before
            proxy.open = True
            after = (await peer.hears("new_peer", userId="u-7"))["peerId"]
            assert (await peer.hears("signal")) == {"fromId": after, "signal": "saved"}
            await program.line(rf"^joined gate as {after} with 1 peers")
            await program.line("^saved: true")
            told = [event for event, _ in peer.heard if event != "room_status"]
            assert told == ["peer_disconnected", "new_peer", "signal"]
            assert after != before
            before = after


@pytest.mark.node
async def test_the_page_of_the_tutorial_can_be_parsed(tmp_path: Path) -> None:
    """A browser runs it; that its parts are those of the web page is what the next test says."""
    script = tmp_path / "call.js"
    script.write_text(_script(), "utf-8")
    async with running(["node", "--check", script]) as program:
        assert await program.wait() == 0, program.output


def test_the_page_of_the_tutorial_negotiates_as_the_web_page_says() -> None:
    for name in ("function negotiate(", "function send("):
        (block,) = [block for block in WEB.blocks("js") if name in block.code]
        assert block.code in PAGE


def test_examples_send_and_hear_what_there_is() -> None:
    protocol = PAGES["docs/reference/protocol.md"]
    sent = {row[0].strip("`") for row in protocol.table("Event", "Payload", "Ack")}
    heard = {row[0].strip("`") for row in protocol.table("Event", "Payload", "When")}
    own = {"connect", "disconnect", "connect_error", "submit"}
    code = PAGE + "".join(block.code for page in (WEB, ANDROID) for block in page.blocks("js", "java"))
    assert (
        set(re.findall(r'\b(?:emit|emitWithAck)\("(\w+)"', code))
        == {"join_room", "refresh_token", "signal"}
        <= sent
    )
    assert set(re.findall(r'\bon\("(\w+)"', code)) - own == heard


def _script() -> str:
    found = re.search(r"<script>\n(.*?)</script>", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


async def android_classes(jar: Path, folder: Path, replaced: Mapping[str, str] | None = None) -> str:
    """Compile the code of the Android page, with other texts in the place of some; returns the class path."""
    libraries = f"{jar.parent / 'lib'}/*"
    sources = []
    for block in ANDROID.blocks("java"):
        code = block.code
        for text, other in (replaced or {}).items():
            code = code.replace(text, other)
        sources.append(folder / block.title)
        sources[-1].write_text(code, "utf-8")
    # 8 is what Android's tools read without more ado
    options = ("--release", "8", "-Xlint:all,-options", "-Werror", "-cp", libraries)
    compile_all: list[str | Path] = ["javac", *options, "-d", folder, *sources]
    async with running(compile_all) as compiler:
        assert await compiler.wait() == 0, compiler.output
    return f"{folder}:{libraries}"


@pytest.mark.promise("The docs", "The Python, JavaScript and Java code in them runs")
@pytest.mark.java
async def test_the_android_page_s_code_joins_answers_and_hears_one_leave(jar: Path, tmp_path: Path) -> None:
    classes = await android_classes(jar, tmp_path)
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(serve("--ping-interval", "2", "--ping-timeout", "4"))
        proxy = await stack.enter_async_context(cut(int(serving.url.rpartition(":")[2])))
        command = ["java", "-cp", classes, "Guard", f"http://127.0.0.1:{proxy.port}"]
        # eight, so that the guard is not polite towards all of them, but for one time in nine
        async with peers(serving.url, *[None] * 8) as everybody, running(command) as program:
            for peer in everybody:
                await peer.join("gate", userId="u-8")
                guard = (await peer.hears("new_peer", userId="u-7", role="guard"))["peerId"]
                polite = str(guard > peer.peer_id).lower()
                await program.line(f"^here: {peer.peer_id}, polite: {polite}")
            sent = await peer.ask("signal", {"targetId": guard, "signal": {"sdp": "v=0"}})
            assert sent == {"ok": True}
            assert (await peer.hears("signal", fromId=guard))["signal"] == {"heard": True}
            proxy.cut()
            await program.line("^lost")
            assert (await peer.hears("peer_disconnected"))["peerId"] == guard
            peer.heard.clear()
            guard = (await peer.hears("new_peer", userId="u-7"))["peerId"]
            assert await peer.ask("signal", {"targetId": guard, "signal": {"sdp": "v=1"}}) == {"ok": True}
            assert (await peer.hears("signal", fromId=guard))["signal"] == {"heard": True}
            await peer.ask("leave_room", {})
            await program.line(f"^gone: {peer.peer_id}")


def test_the_android_version_is_the_one_that_is_tested() -> None:
    pom = (PEERS.parent / "java" / "pom.xml").read_text("utf-8")
    tested = re.search(r"<artifactId>socket.io-client</artifactId>\s*<version>([\d.]+)", pom)
    assert tested is not None
    assert set(re.findall(r"\b2\.\d\.\d\b", ANDROID.text)) == {tested[1]}
