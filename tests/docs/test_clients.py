"""The JavaScript and the Java in the docs, run with the stock libraries against a server."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from clients.test_java import jar
from docs.pages import DOCS, PAGES, SERVER
from hosts.peers import peers
from support.node import PEERS, require_packages
from support.processes import running
from support.servers import serve

__all__ = ["jar"]

WEB = PAGES["docs/clients/web.md"]
ANDROID = PAGES["docs/clients/android.md"]
PAGE = (DOCS / "examples" / "call.html").read_text("utf-8")


@pytest.mark.node
async def test_the_web_page_s_code_joins_hears_and_comes_back() -> None:
    require_packages()
    async with serve() as serving:
        code = "".join(block.code for block in WEB.blocks("js")).replace(SERVER, serving.url)
        assert serving.url in code
        async with running(["node", "--input-type=module", "-e", code], cwd=PEERS) as program:
            mine = (await program.line(r"^joined gate as (\S+) with 0 peers"))[1]
            await program.line("^not sent: (not_in_room|peer_not_found)")
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


@pytest.mark.node
async def test_the_page_of_the_tutorial_can_be_parsed(tmp_path: Path) -> None:
    """A browser runs it; that its parts are those of the web page is what the next test says."""
    script = tmp_path / "call.js"
    script.write_text(_script(), "utf-8")
    async with running(["node", "--check", script]) as program:
        assert await program.wait() == 0, program.output


def test_the_page_of_the_tutorial_negotiates_as_the_web_page_says() -> None:
    (block,) = [block for block in WEB.blocks("js") if "function negotiate" in block.code]
    assert block.code in PAGE


def test_examples_send_and_hear_what_there_is() -> None:
    protocol = PAGES["docs/reference/protocol.md"]
    sent = {row[0].strip("`") for row in protocol.table("Event", "Payload", "Ack")}
    heard = {row[0].strip("`") for row in protocol.table("Event", "Payload", "When")}
    own = {"connect", "disconnect", "connect_error", "submit"}
    code = PAGE + "".join(block.code for page in (WEB, ANDROID) for block in page.blocks("js", "java"))
    assert set(re.findall(r'\b(?:emit|emitWithAck)\("(\w+)"', code)) == {"join_room", "signal"} <= sent
    assert set(re.findall(r'\bon\("(\w+)"', code)) - own == heard


def _script() -> str:
    found = re.search(r"<script>\n(.*?)</script>", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.java
async def test_the_android_page_s_code_joins_answers_and_hears_one_leave(jar: Path, tmp_path: Path) -> None:
    classes = f"{jar.parent / 'lib'}/*"
    sources = [tmp_path / block.title for block in ANDROID.blocks("java")]
    for source, block in zip(sources, ANDROID.blocks("java"), strict=True):
        source.write_text(block.code, "utf-8")
    # 8 is what Android's tools read without more ado
    compile_all: list[str | Path] = [
        "javac",
        "--release",
        "8",
        "-Xlint:all,-options",
        "-Werror",
        "-cp",
        classes,
        "-d",
        tmp_path,
    ]
    async with running([*compile_all, *sources]) as compiler:
        assert await compiler.wait() == 0, compiler.output
    async with serve("--ping-interval", "2", "--ping-timeout", "4") as serving:
        command = ["java", "-cp", f"{tmp_path}:{classes}", "Guard", serving.url]
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
            await peer.ask("leave_room", {})
            await program.line(f"^gone: {peer.peer_id}")


def test_the_android_version_is_the_one_that_is_tested() -> None:
    pom = (PEERS.parent / "java" / "pom.xml").read_text("utf-8")
    tested = re.search(r"<artifactId>socket.io-client</artifactId>\s*<version>([\d.]+)", pom)
    assert tested is not None
    assert set(re.findall(r"\b2\.\d\.\d\b", ANDROID.text)) == {tested[1]}
