"""How many connections there may be, of an address, of a user and in all; and whose address counts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from hostile.services import IN_PROCESS, OURS, Kind, service
from support.peers import raw_peer
from support.raw import RefusedError, raw
from support.servers import serve
from walkie_signal import Credentials, Identity, Settings


async def _handshake(url: str, address: str | None = None) -> httpx.Response:
    async with raw(f"{url}/socket.io/", {"X-Forwarded-For": address} if address else None) as client:
        return await client.http.get(client.url, params=client.query())


async def _refused_websocket(url: str, lines: Sequence[str] = ()) -> int:
    async with raw(f"{url}/socket.io/") as client:
        try:
            async with client.websocket(lines=lines):
                return 101
        except RefusedError as refused:
            return refused.status


@pytest.mark.promise("Limits", "Connections that have joined nothing are limited, for an address and in all")
@OURS
async def test_an_address_has_few_connections_that_have_joined_nothing(kind: Kind) -> None:
    async with (
        service(kind, settings=Settings(half_open_per_address=3)) as running,
        AsyncExitStack() as stack,
    ):
        peers = [await stack.enter_async_context(raw_peer(running.url)) for _ in range(3)]
        assert (await _handshake(running.url)).status_code == 429
        if kind == "serve":  # uvicorn by itself believes whoever is on the same machine
            assert (await _handshake(running.url, "203.0.113.9")).status_code == 429
        assert await _refused_websocket(running.url) == 403
        lines = [line.text for line in running.lines() if "handshake refused" in line.text]
        line = "handshake refused: Too many connections from this address (from 127.0.0.1)"
        assert {each.lower() for each in lines} == {f"info walkie_signal.transport: {line.lower()}"}
        await peers[0].connect()
        peers.append(await stack.enter_async_context(raw_peer(running.url)))
        assert (await _handshake(running.url)).status_code == 429
        await peers[1].abort()
        status = 429
        while status == 429:
            status = (await _handshake(running.url)).status_code
        assert status == 200


@pytest.mark.promise("Limits", "Connections that have joined nothing are limited, for an address and in all")
async def test_there_is_a_limit_for_all_addresses_together() -> None:
    options = ("--half-open", "2", "--half-open-per-address", "0", "--trusted-proxy", "127.0.0.1")
    async with serve(*options) as server:
        for number in range(2):
            assert (await _handshake(server.url, f"203.0.113.{number}")).status_code == 200
        assert (await _handshake(server.url, "203.0.113.3")).status_code == 503
        await server.program.line("Too many connections that have joined nothing")


@pytest.mark.promise(
    "Limits", "A limit of connections for an address is off by default, and counts real addresses"
)
async def test_an_address_has_as_many_connections_as_it_may() -> None:
    options = ("--connections-per-address", "2", "--trusted-proxy", "127.0.0.1")
    addresses = ["203.0.113.1", "203.0.113.1", "2001:db8::1", "2001:db8::2"]
    async with serve(*options) as server, AsyncExitStack() as stack:
        for address in addresses:
            headers = {"X-Forwarded-For": address}
            peer = await stack.enter_async_context(raw_peer(server.url, headers=headers))
            await peer.connect()
        assert (await _handshake(server.url, "203.0.113.1")).status_code == 429
        assert (await _handshake(server.url, "2001:db8::3")).status_code == 429
        assert (await _handshake(server.url, "203.0.113.2")).status_code == 200
        await peer.abort()
        while (status := (await _handshake(server.url, "2001:db8::3")).status_code) == 429:
            pass
        assert status == 200


@pytest.mark.promise("Limits", "A verified user has no more connections on a worker than it may")
@IN_PROCESS
async def test_a_user_has_as_many_connections_as_it_may(kind: Kind) -> None:
    settings = Settings(connections_per_user=2)

    def authenticate(credentials: Credentials) -> Identity:
        return Identity(credentials.token)

    async with (
        service(kind, settings=settings, authenticate=authenticate) as running,
        AsyncExitStack() as stack,
    ):
        for user in ("ann", "ann", "bob"):
            peer = await stack.enter_async_context(raw_peer(running.url))
            assert "sid" in await peer.connect({"token": user})
        async with raw_peer(running.url) as third:
            refused = (await third.connect({"token": "ann"}))["data"]
        assert (refused["code"], refused["limit"]) == ("rate_limited", "connections_per_user")
        assert refused["retryAfterMs"] == 18_000


@pytest.mark.promise("Limits", "A proxy that forwards an address and is not trusted is named in the log")
async def test_a_proxy_that_is_not_believed_is_named_once() -> None:
    async with serve() as server:
        for address in ("203.0.113.1", "203.0.113.2"):
            assert (await _handshake(server.url, address)).status_code == 200
        found = await server.program.line(
            r"X-Forwarded-For from (\S+) is not believed.*--trusted-proxy (\S+)"
        )
        assert found[1] == found[2] == "127.0.0.1"
        assert server.program.output.count("is not believed") == 1


@pytest.mark.promise("Hosts", "Cookies are no credential where the page of any origin may connect")
@pytest.mark.parametrize(("origins", "seen"), [("*", False), (["https://example.com"], True)])
async def test_cookies_are_kept_from_a_host_that_lets_any_page_in(origins: Any, seen: bool) -> None:  # noqa: FBT001
    asked: list[Credentials] = []

    def authenticate(credentials: Credentials) -> Identity:
        asked.append(credentials)
        return Identity("ann")

    async with service("attach", authenticate=authenticate, cors_origins=origins) as running:
        async with raw_peer(running.url, headers={"Cookie": "session=1"}) as peer:
            await peer.connect()
        assert ("cookie" in asked[-1].headers) is seen
