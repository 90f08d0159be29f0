"""Every HTTP request that returns has sent a response, whole, whatever way it ends: middlewares rely on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from starlette.middleware.base import BaseHTTPMiddleware

from support.heads import POLLING, head
from support.raw import Raw, raw
from support.servers import hosted
from support.waiting import eventually
from support.wire import Wire, wire
from transport.serving import nothing_left, poll_waits
from transport.workers import temporary_folder  # noqa: F401 - a fixture
from walkie_signal.transport import create_server

Way = Callable[["Site"], Awaitable[Any]]


class Witness:
    """A middleware that notes of each HTTP request that returns what it has sent."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.sent: list[list[str]] = []
        self.running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent: list[str] = []

        async def note(event: Any) -> None:
            sent.append(event["type"])
            await send(event)

        self.running += 1
        try:
            await self._app(scope, receive, note)
            self.sent.append(sent)
        finally:
            self.running -= 1


class Site:
    """A server, or a worker and another one, to which `client`'s requests go."""

    def __init__(self, sio: Any, owner: Raw, client: Raw, witnesses: list[Witness]) -> None:
        self.sio = sio
        self.owner = owner
        self.client = client
        self.witnesses = witnesses

    async def session(self) -> str:
        return await self.owner.joined_polling()

    async def poll(self, sid: str) -> asyncio.Task[Any]:
        poll = asyncio.create_task(self.client.get(sid))
        await poll_waits(self.sio, sid)
        return poll

    @asynccontextmanager
    async def half_a_post(self, sid: str) -> AsyncIterator[Wire]:
        async with wire(self.client.url) as client:
            await client.send(head(f"{POLLING}&sid={sid}", "Content-Length: 99", method="POST") + b"half")
            await eventually(lambda: self.sio.eio.sockets[sid].carrier._reading, what="a POST")
            yield client


async def gone_in_a_poll(site: Site) -> None:
    poll = await site.poll(await site.session())
    poll.cancel()
    await asyncio.wait({poll})


async def gone_in_a_post(site: Site) -> None:
    async with site.half_a_post(await site.session()):
        pass


async def closed_in_a_poll(site: Site) -> None:
    sid = await site.session()
    poll = await site.poll(sid)
    await site.sio.eio.disconnect(sid)
    assert (await poll).text == "1"


async def closed_in_a_post(site: Site) -> None:
    sid = await site.session()
    async with site.half_a_post(sid):
        await site.sio.eio.disconnect(sid)
        await eventually(lambda: not any(each.running for each in site.witnesses), what="the end of the POST")


async def two_polls(site: Site) -> None:
    sid = await site.session()
    poll = await site.poll(sid)
    assert (await site.client.get(sid)).status_code == 400
    assert (await poll).text == "1"


async def an_upgrade_in_a_poll(site: Site) -> None:
    sid = await site.session()
    async with site.client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
        await socket.send("2probe")
        assert await socket.receive() == "3probe"
        poll = await site.poll(sid)
        await socket.send("5")
        assert (await poll).status_code == 400


async def the_server_ends(site: Site) -> None:
    poll = await site.poll(await site.session())
    await site.sio.shutdown()
    assert (await poll).text == "1"


async def refusals(site: Site) -> None:
    for query in ("", "EIO=3&transport=polling", "EIO=4&transport=polling&sid=none"):
        assert (await site.client.http.get(f"{site.client.url}?{query}")).status_code == 400
    assert (await site.client.http.options(site.client.url)).status_code == 200
    for size, status in ((60_000, 200), (1 << 16, 431)):
        headers, query = {"x-long": "x" * size}, "EIO=4&transport=polling"
        answer = await site.client.http.get(f"{site.client.url}?{query}", headers=headers)
        assert answer.status_code == status


WAYS: list[Way] = [
    gone_in_a_poll, gone_in_a_post, closed_in_a_poll, closed_in_a_post, two_polls, an_upgrade_in_a_poll,
    the_server_ends, refusals,
]  # fmt: skip


def starlette_around(app: Any) -> Any:
    """Put a middleware around an app that takes a request without a response for a fault, and logs it."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    return BaseHTTPMiddleware(app, dispatch)


@asynccontextmanager
async def site(*, handed_over: bool, around: Callable[[Any], Any]) -> AsyncIterator[Site]:
    sio = create_server(hand_over=handed_over)
    sios = [sio, create_server(hand_over=True)] if handed_over else [sio]
    witnesses = [Witness(socketio.ASGIApp(each)) for each in sios]
    async with (
        hosted(around(witnesses[0])) as one,
        hosted(around(witnesses[-1])) as two,
        raw(f"{one}/socket.io/") as owner,
        raw(f"{two}/socket.io/") as client,
    ):
        yield Site(sio, owner, client, witnesses)
        for each in sios:
            await each.shutdown()


@pytest.mark.promise(
    "The transport", "Every HTTP request that returns has sent a whole response, whatever way it ends"
)
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("around", [lambda app: app, starlette_around], ids=["bare", "BaseHTTPMiddleware"])
@pytest.mark.parametrize("handed_over", [False, True], ids=["here", "handed over"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_request_that_returns_has_sent_a_response(
    way: Way, *, handed_over: bool, around: Callable[[Any], Any], lines: list[logging.LogRecord]
) -> None:
    async with site(handed_over=handed_over, around=around) as served:
        await way(served)
        await eventually(lambda: not any(each.running for each in served.witnesses))
        sent = [each for witness in served.witnesses for each in witness.sent]
        assert sent
        assert all(each == ["http.response.start", "http.response.body"] for each in sent), sent
    await nothing_left(served.sio)
    assert [line.getMessage() for line in lines if line.levelno >= logging.ERROR] == []
