"""How a node reaches a Redis server by a name with several addresses, or one that is looked up slowly."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from backends.pairs import Site, ready
from support.names import LOOPS, NAME, Resolver, black_hole
from support.redis import redis_server
from support.servers import free_port, serve
from walkie_signal.backends.redis.dial import STAGGER, WITHIN, Dialer, Unreachable


async def is_ready(caplog: pytest.LogCaptureFixture, within: float) -> str:
    """Wait until a node is ready by the name; returns the line that says so."""
    caplog.set_level("INFO")
    site = Site(f"redis://{NAME}/0")
    await site.backend.start(site.kept)
    try:
        await ready(site, within)
        await site.join("a")
    finally:
        await site.backend.close()
    (line,) = [record.message for record in caplog.records if ": connected" in record.message]
    return line


@pytest.mark.promise(
    "Many nodes",
    "A name of which one address leads nowhere, or is looked up slowly, still leads to Redis, on both "
    "event loops",
)
@pytest.mark.parametrize("loop", LOOPS)
def test_an_address_that_leads_nowhere_is_passed_over(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    resolver = Resolver()

    async def test() -> None:
        async with redis_server() as server:
            with black_hole() as dead:
                resolver.ports = (dead, server.port)
                line = await is_ready(caplog, 1)
                assert f"connected to 127.0.0.1:{server.port} (127.0.0.1:{dead} does not answer)" in line

    resolver.run(loop, test())


@pytest.mark.parametrize("loop", LOOPS)
def test_addresses_that_all_fail_are_named_each(loop: str) -> None:
    resolver, refuses = Resolver(), free_port()

    async def test() -> None:
        with black_hole() as dead:
            resolver.ports = (refuses, dead)
            start = asyncio.get_running_loop().time()
            with pytest.raises(Unreachable) as caught:
                await Dialer(NAME, 1).connect(asyncio.Protocol(), None)
            assert asyncio.get_running_loop().time() - start < WITHIN + 1
            assert str(caught.value) == (
                f"127.0.0.1:{refuses}: Connection refused; 127.0.0.1:{dead} does not answer"
            )

    resolver.run(loop, test())


@pytest.mark.promise(
    "Many nodes",
    "A name of which one address leads nowhere, or is looked up slowly, still leads to Redis, on both "
    "event loops",
)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_look_up_that_outlasts_a_try_serves_the_next(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    """The first of the machine's name servers is dead, as often: the resolver asks the second after 5 s."""
    resolver = Resolver(takes=WITHIN + 1)

    async def test() -> None:
        async with redis_server() as server:
            resolver.ports = (server.port,)
            line = await is_ready(caplog, 10)
            assert f"connected to 127.0.0.1:{server.port}, after" in line
            assert f"{NAME}: the name is not resolved in time; trying again" in caplog.text

    resolver.run(loop, test())


@pytest.mark.promise(
    "Many nodes",
    "A name of which one address leads nowhere, or is looked up slowly, still leads to Redis, on both "
    "event loops",
)
def test_an_address_with_a_server_of_no_use_is_not_the_first_again(caplog: pytest.LogCaptureFixture) -> None:
    resolver = Resolver()

    async def test() -> None:
        async with redis_server() as replica, redis_server() as primary:
            await replica.command("REPLICAOF", "127.0.0.1", free_port())
            resolver.ports = (replica.port, primary.port)
            line = await is_ready(caplog, 5)
            assert f"connected to 127.0.0.1:{primary.port}, after 2 tries" in line
            assert "READONLY" in caplog.text

    resolver.run("asyncio", test())


@pytest.mark.promise(
    "Many nodes",
    "A name of which one address leads nowhere, or is looked up slowly, still leads to Redis, on both "
    "event loops",
)
def test_each_of_several_servers_of_no_use_has_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    """As behind the name of all pods of a primary and its replicas."""
    resolver = Resolver()

    async def test() -> None:
        async with redis_server() as one, redis_server() as two, redis_server() as primary:
            for replica in (one, two):
                await replica.command("REPLICAOF", "127.0.0.1", free_port())
            resolver.ports = (one.port, two.port, primary.port)
            line = await is_ready(caplog, 10)
            assert f"connected to 127.0.0.1:{primary.port}, after 3 tries" in line

    resolver.run("asyncio", test())


@pytest.mark.promise(
    "Many nodes",
    "A name of which one address leads nowhere, or is looked up slowly, still leads to Redis, on both "
    "event loops",
)
def test_of_more_addresses_than_a_try_has_time_for_the_next_try_takes_the_others() -> None:
    resolver = Resolver()

    async def test() -> None:
        many = int(WITHIN / STAGGER) + 1
        async with redis_server() as server:
            with ExitStack() as stack:
                holes = [stack.enter_context(black_hole()) for _ in range(many)]
                resolver.ports = (*holes, server.port)
                dialer = Dialer(NAME, 1)
                with pytest.raises(Unreachable):
                    await dialer.connect(asyncio.Protocol(), None)
                dialer.renew()
                await dialer.connect(asyncio.Protocol(), None)
                assert dialer.reached == f"127.0.0.1:{server.port}"

    resolver.run("asyncio", test())


async def test_a_name_that_nobody_knows_is_named() -> None:
    with pytest.raises(Unreachable, match=r"^nobody\.invalid: .+"):
        await Dialer("nobody.invalid", 1).connect(asyncio.Protocol(), None)


def test_both_connections_lead_to_one_server() -> None:
    """What is published on another would not be heard."""
    resolver = Resolver()

    async def ports() -> None:
        async with redis_server() as one, redis_server() as two:
            for order in ((one, two), (two, one)):
                resolver.ports = tuple(each.port for each in order)
                dialer = Dialer(NAME, 1)
                await dialer.connect(asyncio.Protocol(), None)
                first = dialer.reached
                resolver.ports = resolver.ports[::-1]
                dialer.renew()
                await dialer.connect(asyncio.Protocol(), None)
                assert dialer.reached == first

    resolver.run("asyncio", ports())


@pytest.mark.promise("Many nodes", "A Redis that is given by its address costs a node no thread")
async def test_a_redis_that_is_given_by_its_address_costs_a_node_no_thread() -> None:
    async with redis_server() as redis, serve("--redis-url", redis.url) as node:
        status = Path(f"/proc/{node.program.pid}/status").read_text()  # noqa: ASYNC240 - it is not on a disk
        assert "Threads:\t1\n" in status, "system calls and allocations are slower in a process with more"
