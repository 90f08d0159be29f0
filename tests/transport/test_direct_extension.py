"""The ASGI extension: frames with nothing in between, for whoever may use it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.frames import BINARY, TEXT, close, fragments, frame
from support.wire import GONE, Wire, websocket
from transport.direct_servers import OURS, Served, served

names = itertools.count()


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(OURS, request.param) as running:
        yield running


async def seen(server: Served, name: str) -> Any:
    async with httpx.AsyncClient(base_url=server.url) as http:
        return (await http.get(f"/seen?id={name}", timeout=10)).json()


async def hear(client: Wire, count: int) -> list[tuple[Any, ...]]:
    return [await client.hear() for _ in range(count)]


async def test_it_knows_whose_send_it_is_and_starts_after_accept(server: Served) -> None:
    async with websocket(server.address, "/wrapped?id=w") as client:
        told = "True False direct frames start once websocket.accept was sent"
        assert await hear(client, 2) == [("text", told), ("close", 1000, "")]


async def test_text_and_bytes_go_both_ways(server: Served) -> None:
    async with websocket(server.address, "/direct?id=t") as client:
        sent = (
            frame(TEXT, "ä")
            + frame(BINARY, b"\xff")
            + frame(TEXT, "")
            + fragments(TEXT, "a", b"\xc3", b"\xa4")
        )
        await client.send(sent)
        assert await hear(client, 4) == [("text", "ä"), ("binary", b"\xff"), ("text", ""), ("text", "aä")]


async def test_what_is_queued_when_it_starts_comes_first(server: Served) -> None:
    """More than one read of it, with more on the way."""
    name = str(next(names))
    texts = [f"{number} {'x' * 500}" for number in range(2000)]
    async with websocket(server.address, f"/direct-late?id={name}") as client:
        sending = asyncio.create_task(client.send(*(frame(TEXT, text) for text in texts)))
        async with httpx.AsyncClient(base_url=server.url) as http:
            await http.get(f"/go?id={name}")
        assert [text for _, text in await hear(client, len(texts))] == texts
        await sending


async def test_several_messages_at_once_stand_where_they_were_sent(server: Served) -> None:
    """Each in the shortest form of its length, though the messages before and after go another way."""
    sizes = [0, 1, 62, 63, 125, 126, 32_767, 32_768, 65_535, 65_536, 300_000]
    async with websocket(server.address, f"/direct?id={next(names)}") as client:
        await client.send(frame(TEXT, f"all {' '.join(map(str, sizes))}"))
        expected = [
            event
            for size in sizes
            for event in (
                ("text", f"before {size}"),
                ("text", "ä" * size),
                ("binary", b"\xff" * size),
                ("text", f"after {size}"),
            )
        ]
        assert await hear(client, len(expected)) == expected


async def test_what_the_socket_does_not_take_waits_and_says_so(server: Served) -> None:
    name = str(next(names))
    async with websocket(server.address, f"/direct?id={name}", receive_buffer=4096) as client:
        await client.send(frame(TEXT, "flood 2000"))
        heard = await hear(client, 2000)
        assert all(event == ("binary", b"x" * 10_000) for event in heard)
        await client.send(close(1000))
        told = await seen(server, name)
        assert told == [
            ["paused", True], ["waiting", True], ["paused", False], ["websocket.disconnect", 1000, ""]
        ]  # fmt: skip


ENDS: dict[str, tuple[list[tuple[Any, ...]], list[Any]]] = {
    "close 4321": ([("close", 4321, "as told")], [4321, "as told"]),
    "abort": ([], [1005, None]),
    "raise": ([("close", 1011, "")], [1011, ""]),
}


@pytest.mark.parametrize("command", ENDS)
async def test_it_ends(command: str, server: Served) -> None:
    """Once, and for good: nothing is delivered or sent after."""
    name = str(next(names))
    heard, told = ENDS[command]
    async with websocket(server.address, f"/direct?id={name}") as client:
        await client.send(frame(TEXT, "one"), frame(TEXT, command), frame(TEXT, "never"))
        assert await hear(client, 1 + len(heard)) == [("text", "one"), *heard]
        await client.send(close(1000))
        assert await client.hear_all() == [GONE]
        assert await seen(server, name) == [["websocket.disconnect", *told]]


async def test_a_client_that_vanishes_is_told_of_once(server: Served) -> None:
    name = str(next(names))
    async with websocket(server.address, f"/direct?id={name}") as client:
        await client.send(frame(TEXT, "one"))
        await client.hear()
        client.reset()
        assert await seen(server, name) == [["websocket.disconnect", 1005, None]]
