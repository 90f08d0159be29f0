"""Nodes of a host in this process, one or two, by each store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from emits.listeners import Host, listening
from emits.radio import make
from support.redis import redis_server
from support.servers import hosted
from support.waiting import eventually

CLIENTS = 2
"""How many clients each node has."""


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A backend of this machine, in a folder of the test's own, whose path is short enough for sockets."""
    return f"machine:{tmp_path_factory.mktemp('m')}"


@pytest.fixture(params=["machine", "redis"])
async def backend(request: pytest.FixtureRequest, machine: str) -> AsyncIterator[str]:
    if request.param == "machine":
        yield machine
    else:
        async with redis_server() as redis:
            yield redis.url


@pytest.fixture(params=["one", "machine", "redis"])
async def hosts(request: pytest.FixtureRequest, machine: str) -> AsyncIterator[tuple[Host, Host]]:
    """Two nodes of a host with two clients each; or one node twice, with two clients each time."""
    async with AsyncExitStack() as stack:
        backend = {"one": "memory", "machine": machine}.get(request.param)
        if backend is None:
            backend = (await stack.enter_async_context(redis_server())).url
        found: list[Host] = []
        for number in range(2):
            if number and request.param == "one":
                found.append(Host(found[0].app, found[0].url, []))
            else:
                app = make(backend)
                found.append(Host(app, await stack.enter_async_context(hosted(app)), []))
            host = found[number]
            await eventually(host.ready)
            host.clients += [await stack.enter_async_context(listening(host.url)) for _ in range(CLIENTS)]
        for host in found:
            for client in found[0].clients + found[1].clients:
                await host.reaches(client)
        yield found[0], found[1]
