"""Peers come through nginx and Caddy, as the examples in the docs set them up, to two workers or two machines."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from clients.transcripts import differences, undocumented
from clients.workers import command, host, nodes_seen
from hosts.peers import TRANSPORTS, web
from proxies.conversation import guests, hold_a_conversation
from proxies.programs import PROXIES, Proxy, nginx
from support.node import MayUpgrade, Transports, legacy_transcript, script
from support.redis import RedisServer, redis_server
from support.servers import serve

pytestmark = pytest.mark.proxies

REPEAT = int(os.environ.get("REPEAT", "1"))
"""How often each test runs, as in ``tests/cluster``."""

POLLING, WEBSOCKET, UPGRADE = ("polling",), ("websocket",), ("polling", "websocket")

BELIEVED = ("--trusted-proxy", "127.0.0.1")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if REPEAT > 1:
        metafunc.fixturenames.append("_round")
        metafunc.parametrize("_round", range(1, REPEAT + 1), ids=lambda number: f"round{number}")


each_proxy = pytest.mark.parametrize("proxy", PROXIES.values(), ids=PROXIES)


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


def example(proxy: Proxy, kind: str = "") -> str:
    """Return the name of an example."""
    suffix = f"-{kind}" if kind else ""
    return f"nginx{suffix}.conf" if proxy is nginx else f"Caddyfile{suffix}"


async def check_parity(
    redis: RedisServer, url: str, *transports: Transports | MayUpgrade, on: str | None = None
) -> None:
    """Let stock peers hold the parity conversation, once by each of these transports."""
    for each in transports:
        async with nodes_seen(redis) as nodes:
            ours = await script("parity.js", url, each)
        print(f"{url} {each}: on {ours['transports']}, {len(nodes)} nodes")  # noqa: T201 - for REPEAT
        assert differences(await legacy_transcript(), ours) == []
        assert undocumented(ours) == []
        assert ours["transports"] == [on or ("websocket" if each == "upgrade" else each)]


@each_proxy
async def test_8_of_8_peers_on_polling_and_websocket_meet_on_two_workers(
    proxy: Proxy, redis: RedisServer, tmp_path: Path
) -> None:
    async with (
        command(redis, *BELIEVED) as endpoint,
        proxy(tmp_path, example(proxy), endpoint) as url,
        guests(redis, url) as coming,
    ):
        await hold_a_conversation(coming, 8, POLLING, WEBSOCKET)


@pytest.mark.node
@each_proxy
async def test_stock_peers_hold_the_parity_conversation_on_two_workers(
    proxy: Proxy, redis: RedisServer, tmp_path: Path
) -> None:
    async with command(redis, *BELIEVED) as endpoint, proxy(tmp_path, example(proxy), endpoint) as url:
        # Polling last: what vanishes between two polls is in its room for some time
        await check_parity(redis, url, "websocket", "upgrade", "polling")


@pytest.mark.node
async def test_behind_an_nginx_that_was_not_told_of_websocket_peers_poll_on(
    redis: RedisServer, tmp_path: Path
) -> None:
    """The upgrade that they try by themselves fails, and does no harm."""
    async with host(redis) as endpoint, nginx(tmp_path, "nginx-polling.conf", endpoint) as url:
        path = "/api-py/socket.io"
        assert (await get(url, "/api-py/health")).json()["scheduler"] is True
        async with guests(redis, url, path) as coming:
            await hold_a_conversation(coming, 6, POLLING, UPGRADE)
            assert {peer.sio.transport() for peer in coming.present[2:]} == {"polling"}
        await check_parity(redis, f"{url}{path}/", "either", on="polling")


async def get(url: str, path: str) -> httpx.Response:
    async with web(url) as http:
        return await http.get(path)


@each_proxy
async def test_two_machines_by_a_hash(proxy: Proxy, redis: RedisServer, tmp_path: Path) -> None:
    """Nothing is handed over between them, and the peers that poll come from many addresses."""
    async with (
        command(redis, *BELIEVED, number=1) as one,
        command(redis, *BELIEVED, number=1) as two,
        proxy(tmp_path, example(proxy, "machines"), one, two) as url,
        guests(redis, url) as coming,
    ):
        await hold_a_conversation(coming, 6, POLLING, WEBSOCKET, UPGRADE)
        assert coming.present[2].sio.transport() == "websocket"


@each_proxy
async def test_two_machines_by_websocket_alone(proxy: Proxy, redis: RedisServer, tmp_path: Path) -> None:
    """With no hash; one that polls is refused at once, not at its second request."""
    async with (
        command(redis, *BELIEVED, number=1) as one,
        command(redis, *BELIEVED, number=1) as two,
        proxy(tmp_path, example(proxy, "machines-websocket"), one, two) as url,
        guests(redis, url) as coming,
    ):
        await hold_a_conversation(coming, 6, WEBSOCKET)
        polled = await get(url, "/socket.io/?EIO=4&transport=polling")
        assert polled.status_code == 400


@each_proxy
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_server_learns_the_address_of_a_peer_and_not_what_it_claims(
    transport: str, proxy: Proxy, redis: RedisServer, tmp_path: Path
) -> None:
    async with (
        serve(*BELIEVED, "--log-level", "debug") as served,
        proxy(tmp_path, example(proxy), served.url) as url,
        guests(redis, url) as coming,
    ):
        await coming.come(transport, headers={"X-Forwarded-For": "203.0.113.9"})
        assert (await served.program.line(r"connects, from (\S+)"))[1] == "127.0.1.1"
