"""What a host's WebSocket endpoints do on our protocol class is what they do on uvicorn's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from support.frames import BINARY, PING, TEXT, close, fragments, frame
from support.heads import UPGRADE, head
from support.wire import websocket, wire
from transport.direct_servers import OURS, THEIRS, Served, served

pytestmark = pytest.mark.promise(
    "The transport", "`serve`'s WebSocket class does what uvicorn's own does, and what RFC 6455 asks"
)

Script = Callable[[Served, str], Awaitable[list[Any]]]


@pytest.fixture(scope="module")
def theirs() -> Iterator[Served]:
    with served(THEIRS, "asyncio") as server:
        yield server


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def ours(request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(OURS, request.param) as server:
        yield server


async def get(server: Served, path: str) -> Any:
    async with httpx.AsyncClient(base_url=server.url) as http:
        return (await http.get(path, timeout=10)).json()


async def told(
    path: str, name: str, server: Served, *sent: bytes, headers: tuple[str, ...] = ()
) -> list[Any]:
    """Open, send, and tell the answer, all that is heard until the end, and what the app has seen."""
    async with websocket(
        server.address, f"{path}{'&' if '?' in path else '?'}id={name}", headers
    ) as connected:
        await connected.send(*sent)
        body = b"" if connected.status == 101 else await connected.rest()
        heard = await connected.hear_all() if connected.status == 101 else []
        answer = [connected.status, connected.headers, body]
        ran = connected.status not in (400, 426)
        return [*answer, heard, await get(server, f"/seen?id={name}") if ran else "no app ran"]


def plain(path: str, *sent: bytes, headers: tuple[str, ...] = ()) -> Script:
    async def script(server: Served, name: str) -> list[Any]:
        return await told(path, name, server, *sent, headers=headers)

    return script


async def conversation(server: Served, name: str) -> list[Any]:
    """Send one message after the other, each once the one before was answered."""
    messages = [
        frame(TEXT, "hi"), frame(TEXT, ""), frame(BINARY, b""), frame(BINARY, b"\x00\xff"), frame(TEXT, "ÄÖ😀"),
        fragments(TEXT, "a", "", "b"), fragments(BINARY, b"\x80", b"\x81"), frame(PING, b"are you there"),
        frame(TEXT, "x" * 125), frame(TEXT, "x" * 126), frame(TEXT, "x" * 65_535), frame(BINARY, b"y" * 65_536),
        frame(TEXT, "z" * 3_000_000), frame(TEXT, "small again"),
    ]  # fmt: skip
    async with websocket(server.address, f"/echo?id={name}") as connected:
        heard = []
        for message in messages:
            await connected.send(message)
            heard.append(await connected.hear())
        await connected.send(close(1000))
        return [heard, await connected.hear_all(), await get(server, f"/seen?id={name}")]


async def all_at_once(server: Served, name: str) -> list[Any]:
    """Send a hundred messages in one write; each is echoed, in order."""
    async with websocket(server.address, f"/echo?id={name}") as connected:
        await connected.send(*(frame(TEXT, f"{number} {'x' * number * 50}") for number in range(100)))
        heard = [await connected.hear() for _ in range(100)]
        await connected.send(close(1001, "going"))
        return [heard, await connected.hear_all(), await get(server, f"/seen?id={name}")]


async def vanishing(server: Served, name: str) -> list[Any]:
    """Go in the middle, without a CLOSE."""
    async with websocket(server.address, f"/echo?id={name}") as connected:
        await connected.send(frame(TEXT, "hi"), frame(TEXT, "cut")[:-1])
        heard = await connected.hear()
        connected.reset()
        return [heard, await get(server, f"/seen?id={name}")]


async def half_closing(server: Served, name: str) -> list[Any]:
    """Shut down the sending side only."""
    async with websocket(server.address, f"/echo?id={name}") as connected:
        await connected.send(frame(TEXT, "hi"))
        heard = await connected.hear()
        connected.end()
        return [heard, await connected.hear_all(), await get(server, f"/seen?id={name}")]


async def vanishing_before_accept(server: Served, name: str) -> list[Any]:
    """Go while the app has not made up its mind."""
    async with wire(server.address) as connected:
        await connected.send(head(f"/late?id={name}", *UPGRADE))
        await get_until_open(server)
        connected.close()
    async with httpx.AsyncClient(base_url=server.url) as http:
        await http.get(f"/go?id={name}")
    return [await get(server, f"/seen?id={name}")]


async def get_until_open(server: Served) -> None:
    """Wait for a turn of the server's loop or two."""
    for _ in range(2):
        await get(server, "/openapi.json")


async def closed_by_app_and_answered(server: Served, name: str) -> list[Any]:
    """Answer the CLOSE of the app, in kind."""
    async with websocket(server.address, f"/close/4999?reason=enough&id={name}") as connected:
        heard = [await connected.hear()]
        await connected.send(frame(TEXT, "too late"), close(4999, "enough"))
        return [heard, await connected.hear_all(), await get(server, f"/seen?id={name}")]


async def closed_by_app_and_violated(server: Served, name: str) -> list[Any]:
    """Answer the CLOSE of the app with something that is no frame: nothing is said to that any more."""
    async with websocket(server.address, f"/close/1000?id={name}") as connected:
        heard = [await connected.hear()]
        await connected.send(frame(3))
        return [heard, await connected.hear_all(), await get(server, f"/seen?id={name}")]


KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
PROTOCOL = "Sec-WebSocket-Protocol"
SCRIPTS: dict[str, Script] = {
    "conversation": conversation,
    "all at once": all_at_once,
    "vanishing": vanishing,
    "half-closing": half_closing,
    "vanishing before accept": vanishing_before_accept,
    "closed by the app, answered": closed_by_app_and_answered,
    "closed by the app, violated": closed_by_app_and_violated,
    "json": plain("/json", frame(TEXT, '{"a": [1]}'), frame(TEXT, '"\\ud83d\\ude00"'), close(4000, "wh\xe4t")),
    "iterating": plain("/iterate", frame(TEXT, "a"), frame(TEXT, "b"), close()),
    "subprotocol": plain("/subprotocol", close(1000), headers=(f"{PROTOCOL}: a, b", f"{PROTOCOL}: c")),
    "scope": plain("/scope?a=%C3%A9&b=/", close(4321), headers=("X-A: 1", "x-a: 2", "Cookie: a=b")),
    "scope with a header that is no ASCII": plain("/scope?", close(4321), headers=("X-Latin: \xe9",)),
    "path with escapes": plain("/close/10%300", close(1000)),
    "no such path": plain("/nowhere"),
    "refused": plain("/refuse"),
    "refused with a response": plain("/refuse-with"),
    "refused by an exception": plain("/refuse-by-exception"),
    "exception before accept": plain("/raise-before"),
    "exception": plain("/raise", frame(TEXT, "go")),
    "returns": plain("/return"),
    "returns before accept": plain("/return-before"),
    "accepts twice": plain("/twice", close(1000)),
    "sends after close": plain("/close-and-send", close(1000)),
    "client closes with nothing": plain("/echo", frame(TEXT, "a"), close()),
    "client closes with code and reason": plain("/echo", close(3999, "r" * 123)),
    "closed with a code that is none": plain("/close/1005"),
    "closed with a code out of range": plain("/close/999"),
    "closed with a reason too long": plain(f"/close/1000?reason={'r' * 124}"),
    **{f"closed with {code}": plain(f"/close/{code}?reason=\xe9".replace("\xe9", "%C3%A9"), close(code))
       for code in (1000, 1001, 1003, 1008, 1011, 1014, 3000, 4000, 4999)},
    "two keys": plain("/echo", headers=(KEY,)),
    "two hosts": plain("/return", headers=("Host: other",)),
    "two origins": plain("/return", headers=("Origin: http://a", "Origin: http://b")),
    "an empty subprotocol": plain("/return", headers=(f"{PROTOCOL}: ",)),
    "an extension that is none": plain("/return", headers=("Sec-WebSocket-Extensions: ;;",)),
    "many headers": plain("/return", headers=tuple(f"X-{number}: {number}" for number in range(100))),
    "a long header": plain("/return", headers=(f"X-Long: {'x' * 8000}",)),
    "unknown version": plain("/echo", headers=("Sec-WebSocket-Version: 12",)),
    "deflate is not taken up": plain("/return", headers=("Sec-WebSocket-Extensions: permessage-deflate",)),
}  # fmt: skip
"""Each runs on both; what is heard, and what the app sees, has to be the same."""


numbers = itertools.count()


@pytest.mark.parametrize("script", SCRIPTS)
async def test_the_same_is_heard_and_seen(script: str, theirs: Served, ours: Served) -> None:
    name = f"{script.replace(' ', '-').replace(',', '')}-{next(numbers)}"
    expected, got = await asyncio.gather(SCRIPTS[script](theirs, name), SCRIPTS[script](ours, name))
    assert got == expected
    assert expected[-1] != ["and goes on"], "the reference itself has not ended"
