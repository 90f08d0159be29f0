"""Connections that come and never become peers: whatever they try, their time is up after `connect_timeout`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from hostile.services import ATTACHED, Kind, service
from support.peers import RawPeer, raw_peer
from support.raw import Transport
from support.waiting import becomes
from walkie_signal import Credentials, Identity, Settings

MANY = 500
Way = Callable[[RawPeer], Coroutine[Any, Any, None]]
OPENING = 8
"""How many come at once: more would wait for one another, in the one event loop that they share."""


async def authenticate(credentials: Credentials) -> Identity | None:
    if credentials.token == "never":
        await asyncio.Event().wait()
    return None


async def _says_nothing(peer: RawPeer) -> None:
    pass


async def _is_refused(peer: RawPeer) -> None:
    assert (await peer.connect({"token": "x"}))["data"]["code"] == "unauthorized"


async def _is_refused_again_and_again(peer: RawPeer) -> None:
    while peer.is_open:
        await peer.send('40{"token":"x"}')
        await asyncio.sleep(0.2)  # oftener shows no more


async def _is_not_answered(peer: RawPeer) -> None:
    await peer.send('40{"token":"never"}')


WAYS: list[tuple[Transport, Way]] = [
    ("websocket", _says_nothing),
    ("polling", _says_nothing),
    ("websocket", _is_refused),
    ("websocket", _is_refused_again_and_again),
    ("websocket", _is_not_answered),
]
"""All of them answer their pings."""


async def _stay(
    url: str, timeout: float, opening: asyncio.Semaphore, transport: Transport, way: Way
) -> float:
    """Come, and stay for as long as the server allows; returns the seconds that this was."""
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        async with opening:
            peer = await stack.enter_async_context(raw_peer(url, transport))
        came = clock()
        trying = asyncio.create_task(way(peer))
        stack.push_async_callback(asyncio.wait, [trying])
        stack.callback(trying.cancel)
        with suppress(AssertionError):  # the figure says it
            await peer.closed(within=timeout + 3)
        return clock() - came


@pytest.mark.promise(
    "The transport",
    "500 connections that never connect or never authenticate are closed within `connect_timeout` + 1 s",
)
@ATTACHED
async def test_500_that_never_join_are_closed_in_time(kind: Kind) -> None:
    """Defect 16: to python-socketio a connection that answers its pings is as good as any, for ever."""
    assert Settings().connect_timeout == 10
    timeout, ways, opening = 2.0, WAYS * (MANY // len(WAYS)), asyncio.Semaphore(OPENING)
    settings = Settings(connect_timeout=timeout, callback_timeout=timeout + 2)
    async with service(kind, settings=settings, authenticate=authenticate) as running:
        peace = running.state()
        stays = await asyncio.gather(*(_stay(running.url, timeout, opening, *way) for way in ways))
        assert len(stays) == 500
        late = Counter(way.__name__ for (_, way), stay in zip(ways, stays, strict=True) if stay > timeout + 1)
        assert not late, f"{late}; the longest stay was {max(stays):.2f} s"
        await becomes(running.state, peace, within=5)
