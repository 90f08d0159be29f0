"""What the protocol class refuses, bounds and ends: hostile frames, sizes, flow, pings, shutdown."""

from __future__ import annotations

import asyncio
import itertools
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, fragments, frame, header
from support.waiting import eventually
from support.wire import GONE, Wire, websocket
from transport.direct_servers import OURS, Served, served

LIMIT = 100_000
numbers = itertools.count()

LIMITED = ("--ws-max-size", str(LIMIT), "--ws-ping-interval", "0.5", "--ws-ping-timeout", "0.5")


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(OURS, request.param, "--ws-max-size", str(LIMIT)) as running:
        yield running


@asynccontextmanager
async def connected(server: Served, path: str = "/echo?", **options: Any) -> AsyncIterator[tuple[Wire, str]]:
    name = str(next(numbers))
    async with websocket(server.address, f"{path}id={name}", **options) as client:
        yield client, name


def _is(event: tuple[Any, ...], kind: str, data: str | bytes) -> bool:
    """Compare without pytest's account of two long messages."""
    return event == (kind, data)


async def get(server: Served, path: str) -> Any:
    async with httpx.AsyncClient(base_url=server.url) as http:
        return (await http.get(path, timeout=20)).text


async def stalled(server: Served, name: str) -> None:
    """Wait until the app that floods gets no further."""
    before = ""

    def no_further(now: str) -> bool:
        nonlocal before
        before, then = now, before
        return now == then != "[]"

    await eventually(lambda: get(server, f"/so-far?id={name}"), no_further, "stalled", within=30)


def memory(server: Served) -> int:
    """Return the bytes that the server has in memory."""
    if sys.platform == "linux":
        pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    status = subprocess.run(["ps", "-o", "rss=", str(server.process.pid)], capture_output=True, check=True)
    return int(status.stdout) * 1024


REFUSED = {
    "no mask": (frame(TEXT, "a", masked=False), 1002, "un-masked"),
    "no mask on a PING": (frame(PING, "a", masked=False), 1002, "un-masked"),
    "a length not in its shortest form": (b"\x81\xfe\x00\x05" + frame(TEXT, "hello")[2:], 1002, "16-bit"),
    "nor this one": (b"\x81\xff" + (200).to_bytes(8, "big"), 1002, "64-bit"),
    "a length of 64 bits": (b"\x81\xff" + b"\xff" * 8, 1002, "64-bit"),
    "a frame over the limit": (header(TEXT, LIMIT + 1), 1009, "exceeding"),
    "a frame far over the limit, announced only": (header(BINARY, 1 << 60), 1009, "exceeding"),
    "fragments over the limit": (
        fragments(TEXT, "a" * LIMIT, "b")[:-1] + b"x", 1009, "message over"),
    "many fragments over the limit": (
        frame(BINARY, b"", fin=False) + frame(CONT, b"a" * 50_000, fin=False) * 3, 1009, "message over"),
    "reserved bits in a fragment": (
        frame(TEXT, "a", fin=False) + frame(CONT, "b", rsv=1), 1002, "reserved bits"),
    "reserved bits in a PONG": (frame(PONG, rsv=2), 1002, "reserved bits"),
    "a text within a message": (frame(BINARY, "a", fin=False) + frame(TEXT, "b"), 1002, "expected"),
    "half a character at the end": (frame(TEXT, b"\xc3"), 1007, "position 0"),
    "half a character at the end of the last fragment": (fragments(TEXT, b"a", b"\xe2\x82"), 1007, "position 0"),
    "a CLOSE in fragments": (frame(CLOSE, b"\x03\xe8", fin=False), 1002, "fragmented"),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/echo?", "/direct?"])
@pytest.mark.parametrize("what", REFUSED)
async def test_a_violation_closes_with_its_code_and_one_line_in_the_log(
    what: str, path: str, server: Served
) -> None:
    sent, code, reason = REFUSED[what]
    written = len(server.output)
    async with connected(server, path) as (client, name):
        await client.send(sent)
        ((kind, got, text), *rest) = await client.hear_all()
        assert (kind, got, rest) == ("close", code, [GONE])
        assert reason in text
        assert await get(server, f"/seen?id={name}") in (
            f'[[{code},"{text}"]]', f'[["websocket.disconnect",{code},"{text}"]]')  # fmt: skip
    lines = [line for line in server.output[written:] if "INFO" not in line]
    assert len(lines) == 1, lines
    assert f"WebSocket closed with {code}: {text}" in lines[0]


@pytest.mark.parametrize("headers", [(f"X-Long: {'é' * 8200}",), tuple(f"X-{n}: 1" for n in range(260))])
async def test_a_request_that_websockets_cannot_read_is_refused(
    headers: tuple[str, ...], server: Served
) -> None:
    """uvicorn's own class leaves it without an answer."""
    async with connected(server, lines=headers) as (client, _):
        assert client.status == 400


async def test_what_came_before_a_violation_in_one_write_is_delivered(server: Served) -> None:
    """The parser is one frame ahead: its verdict on the second frame must not overtake the first."""
    async with connected(server, "/direct?") as (client, _):
        await client.send(frame(TEXT, "first"), frame(3))
        assert [event[:2] for event in await client.hear_all()] == [("text", "first"), ("close", 1002), GONE]


@pytest.mark.parametrize("path", ["/echo?", "/direct?"])
async def test_a_message_of_just_the_limit_passes(path: str, server: Served) -> None:
    async with connected(server, path) as (client, _):
        for sent in (frame(TEXT, "a" * LIMIT), fragments(TEXT, "a" * (LIMIT - 1), "a")):
            await client.send(sent)
            assert _is(await client.hear(), "text", "a" * LIMIT)


async def test_frames_sent_before_the_upgrade_is_answered_are_kept(server: Served) -> None:
    name = str(next(numbers))
    early = [f"{number}-{'x' * 3000}" for number in range(30)]

    async def accept() -> None:
        await asyncio.sleep(0.3)  # the early frames have to be there before the app accepts
        await get(server, f"/go?id={name}")

    for path in ("/late", "/direct-late"):
        accepting = asyncio.create_task(accept())
        sent = b"".join(frame(TEXT, text) for text in early)
        async with websocket(server.address, f"{path}?id={name}", early=sent) as client:
            assert all([_is(await client.hear(), "text", text) for text in early])
        await accepting


async def test_large_frames_in_one_turn_keep_their_headers(server: Served) -> None:
    """picows writes the header of a frame over 8 KiB from a buffer that the next frame overwrites."""
    sizes = [9_000, 70_000, 9_001, 100, 300_000, 8_193] * 40
    async with connected(server, "/direct?", receive_buffer=4096) as (client, _):
        await client.send(frame(TEXT, f"burst {' '.join(map(str, sizes))}"))
        for number, size in enumerate(sizes):
            assert _is(await client.hear(), "binary", bytes([number % 256]) * size), number


async def test_memory_of_large_messages_is_given_back(server: Served) -> None:
    """picows' read buffer never shrinks; a hundred connections of two reads at the limit would keep 25 MB."""
    clients = []
    for _ in range(20):
        context = connected(server, "/direct?")
        clients.append((context, (await context.__aenter__())[0]))
    before = memory(server)
    for _, client in clients:
        sending = asyncio.create_task(client.send(frame(TEXT, "x" * LIMIT), frame(TEXT, "s" * 1000) * 300))
        assert all([len((await client.hear())[1]) == size for size in [LIMIT, *[1000] * 300]])
        await sending
    after = memory(server)
    for context, _ in clients:
        await context.__aexit__(None, None, None)
    assert after - before < 4_000_000, f"{(after - before) // 20} bytes for each"


async def test_reading_pauses_while_the_app_receives_nothing(server: Served) -> None:
    """What a client sends meanwhile stays with the kernel and the client, and is read in the end."""
    count = 300
    async with connected(server, f"/slow?count={count}&") as (client, name):
        before = memory(server)
        sending = asyncio.create_task(client.send(frame(BINARY, b"x" * LIMIT) * count))
        done, _ = await asyncio.wait({sending}, timeout=1)
        assert not done, "30 MB were taken that nobody has received"
        assert memory(server) - before < 8_000_000
        await get(server, f"/go?id={name}")
        assert _is(await client.hear(20), "text", str([LIMIT] * count).replace(" ", ""))
        await sending


async def test_send_waits_while_the_client_reads_nothing(server: Served) -> None:
    """And goes on when it reads: everything arrives, in order."""
    count, size = 400, 100_000
    async with connected(server, f"/flood?count={count}&size={size}&", receive_buffer=4096) as (client, name):
        before = memory(server)
        await stalled(server, name)
        assert await get(server, f"/so-far?id={name}") != f"[{count}]"
        assert memory(server) - before < 12_000_000
        for number in range(count):
            assert _is(await client.hear(), "binary", number.to_bytes(4, "big") * (size // 4))
        assert await get(server, f"/seen?id={name}") == f"[{count}]"


async def test_a_client_that_goes_while_send_waits_ends_the_app(server: Served) -> None:
    async with connected(server, "/flood?count=1000&size=100000&", receive_buffer=4096) as (client, name):
        await stalled(server, name)
        client.reset()
        seen = await get(server, f"/seen?id={name}")
        assert seen.endswith((',"gone"]', '"WebSocketDisconnect"]')), seen


async def test_of_the_pings_of_a_client_that_does_not_read_the_last_is_answered(server: Served) -> None:
    async with connected(server, "/flood?count=400&size=100000&", receive_buffer=4096) as (client, _):
        before = memory(server)
        sending = asyncio.create_task(
            client.send(*(frame(PING, f"{number:0125}") for number in range(100_000)), frame(PING, "last"))
        )
        await asyncio.wait({sending}, timeout=2)
        assert memory(server) - before < 12_000_000
        pongs = 0
        while (event := await client.hear())[1] != b"last":
            pongs += event[0] == "pong"
        await sending
        assert pongs < 50_000
