"""The address that `authenticate` is shown: the real one, and a proxy's word for it only where it is trusted."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI

from hosts.ways import WAYS, Way
from support.servers import hosted
from support.stock import TRANSPORTS, peers
from walkie_signal import Credentials, Identity

FORWARDED = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}


class Addresses(list[Any]):
    def authenticate(self, credentials: Credentials) -> Identity:
        self.append(credentials.client)
        return Identity()


@pytest.mark.promise("Hosts", "Credentials have the token from `auth`, query or header, and the real address")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_the_real_address_in_each_way(way: Way) -> None:
    seen = Addresses()
    app = way(FastAPI(), "/socket.io", authenticate=seen.authenticate)

    def from_another() -> aiohttp.BaseConnector:
        return aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))

    async with hosted(app, proxy_headers=False) as url, peers(url, None, connector=from_another):
        assert seen == ["127.0.0.2"]


@pytest.mark.promise(
    "The command",
    "A proxy is trusted however its address is written; an IPv4 address keeps its usual form on `::`",
)
async def test_an_address_of_ipv4_is_itself_in_an_app() -> None:
    """uvicorn's workers listen on `::` for both, and name the other side as the socket does."""
    seen = Addresses()
    app = WAYS["attach"](FastAPI(), "/socket.io", authenticate=seen.authenticate)
    environs: list[str] = []
    app.sio.on("connect", lambda sid, environ, auth: environs.append(environ["REMOTE_ADDR"]))
    async with hosted(app, family=socket.AF_INET6) as url:
        for transport in TRANSPORTS:
            async with peers(url, None, transport=transport):
                assert (seen.pop(), environs.pop()) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.promise("Hosts", "Credentials have the token from `auth`, query or header, and the real address")
@pytest.mark.parametrize(
    ("config", "address"),
    [
        ({"proxy_headers": False}, "127.0.0.1"),
        ({"forwarded_allow_ips": "10.0.0.0/8"}, "127.0.0.1"),
        ({"forwarded_allow_ips": "127.0.0.1"}, "198.51.100.7"),
        ({"forwarded_allow_ips": "127.0.0.1,198.51.100.0/24"}, "203.0.113.9"),
    ],
)
async def test_behind_a_proxy_it_is_what_uvicorn_trusts(config: dict[str, Any], address: str) -> None:
    seen = Addresses()
    app = WAYS["attach"](FastAPI(), "/socket.io", authenticate=seen.authenticate)
    async with hosted(app, **config) as url:
        for transport in TRANSPORTS:
            async with peers(url, None, transport=transport, headers=FORWARDED):
                assert seen.pop() == address
