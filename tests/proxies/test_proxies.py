"""Peers come through nginx and Caddy, as the examples in the docs set them up, to two workers or two machines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import websockets

from clients.transcripts import differences, undocumented
from clients.workers import command, host, nodes_seen
from proxies.conversation import guests, hold_a_conversation
from proxies.programs import EXAMPLES, PROXIES, Proxy, caddy, nginx
from support.node import MayUpgrade, Transports, legacy_transcript, script
from support.processes import SCRIPTS, running
from support.redis import RedisServer, redis_server
from support.servers import serve
from support.stock import TRANSPORTS, web

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


EVERY_EXAMPLE = sorted(
    path.name for path in EXAMPLES.iterdir() if path.name.startswith(("nginx", "Caddyfile"))
)

each_example = pytest.mark.parametrize("name", EVERY_EXAMPLE)


def behind(name: str, url: str) -> tuple[str, ...]:
    """Return a server as often as the example names one."""
    return (url, url) if "machines" in name else (url,)


@pytest.mark.promise(
    "Many nodes",
    "Each file for nginx and Caddy in the docs serves the path with and without its last slash, and pages "
    "only show lines of these files",
)
@each_example
async def test_the_path_is_served_with_and_without_its_last_slash(name: str, tmp_path: Path) -> None:
    """A redirect is none to a WebSocket, nor to a POST of a client that does not follow it."""
    outside, inside = ("/api-py/socket.io", "/api/socket.io") if "polling" in name else ("/socket.io",) * 2
    proxy = nginx if name.startswith("nginx") else caddy
    async with (
        serve("--path", inside, *BELIEVED) as served,
        proxy(tmp_path, name, *behind(name, served.url)) as url,
    ):
        for path in (outside, f"{outside}/"):
            polled = await get(url, f"{path}?EIO=4&transport=polling")
            if "websocket" in name:
                assert polled.status_code == 400, (path, polled)
            else:
                assert (polled.status_code, polled.text[:2]) == (200, "0{"), (path, polled)
            if "polling" not in name:
                endpoint = f"{url.replace('http', 'ws')}{path}?EIO=4&transport=websocket"
                async with websockets.connect(endpoint) as socket:
                    assert str(await asyncio.wait_for(socket.recv(), 10))[:2] == "0{"


@pytest.mark.promise(
    "The command",
    "Another user's proxy can connect to a Unix socket; it can be trusted by name; only the server that "
    "made it removes its file",
)
@each_proxy
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_by_a_unix_socket_the_server_learns_the_address_of_a_peer(
    transport: str, proxy: Proxy, redis: RedisServer, tmp_path: Path
) -> None:
    path = tmp_path / "signal.sock"
    options: list[str | Path] = ["--uds", path, "--trusted-proxy", "unix:", "--log-level", "debug"]
    async with running([SCRIPTS / "walkie-signal", "serve", *options]) as program:
        await program.line("listening on")
        async with proxy(tmp_path, example(proxy), str(path)) as url, guests(redis, url) as coming:
            await coming.come(transport, headers={"X-Forwarded-For": "203.0.113.9"})
            assert (await program.line(r"connects, from (\S+)"))[1] == "127.0.1.1"


@each_proxy
async def test_a_page_of_the_own_host_passes_and_one_from_elsewhere_does_not(
    proxy: Proxy, tmp_path: Path
) -> None:
    """The proxy passes on the host that was asked for."""
    async with (
        serve("--cors-origin", "https://app.example", *BELIEVED) as served,
        proxy(tmp_path, example(proxy), served.url) as url,
    ):
        for origin, status in ((url, 200), ("https://app.example", 200), ("https://evil.example", 403)):
            asked = await get(url, "/socket.io/?EIO=4&transport=polling", origin=origin)
            assert asked.status_code == status, origin


@pytest.mark.promise(
    "The command",
    "A proxy is trusted however its address is written; an IPv4 address keeps its usual form on `::`",
)
@each_proxy
async def test_a_server_on_every_address_believes_a_proxy_on_one_of_ipv4(
    proxy: Proxy, redis: RedisServer, tmp_path: Path
) -> None:
    everywhere = ["--host", "::", "--port", "0", "--log-level", "debug"]
    async with running([SCRIPTS / "walkie-signal", "serve", *everywhere, *BELIEVED]) as program:
        port = (await program.line(r"listening on http://\[::\]:(\d+)"))[1]
        async with (
            proxy(tmp_path, example(proxy), f"http://127.0.0.1:{port}") as url,
            guests(redis, url) as coming,
        ):
            await coming.come("websocket")
            assert (await program.line(r"connects, from (\S+)"))[1] == "127.0.1.1"


@pytest.mark.promise(
    "Many nodes",
    "nginx and Caddy, set up as in the docs, work with polling, WebSocket, two workers and two machines",
)
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


@pytest.mark.promise(
    "Many nodes",
    "nginx and Caddy, set up as in the docs, work with polling, WebSocket, two workers and two machines",
)
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


async def get(url: str, path: str, **headers: str) -> httpx.Response:
    async with web(url) as http:
        return await http.get(path, headers=headers)


@pytest.mark.promise(
    "Many nodes",
    "nginx and Caddy, set up as in the docs, work with polling, WebSocket, two workers and two machines",
)
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
