"""The measures of several nodes: each function starts the nodes of one kind that it needs."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count

from clusters import Cluster, Kind, Usage, cluster_of
from measures import Figures, Size, closed_loop, percentiles, steadily, to_and_fro
from phones import Phone, close_all, connect, connect_many, until
from servers import Server, free_port, running

JOIN_EVERY = 0.3
"""Seconds between two joins: longer than the shortest time between two room_status, so each join has its own."""

ROOMS = count()


@dataclass(frozen=True)
class Load:
    """How much load there is: the real one, or a small one that shows that the benchmark works."""

    within: Size
    seconds: float
    pairs: int
    rates: tuple[int, ...]
    nodes: int
    rooms: tuple[int, ...]
    joiners: int
    further: tuple[int, ...]
    """How many nodes without members are started, in each step."""
    rest: float
    """Seconds in which nothing happens, to let earlier work finish and to count what is used at rest."""
    dropped: int


REAL = Load(
    within=Size(seconds=5, pairs=50, rate=0, idle=0, connects=0, storm=0, rooms=(), others=0),
    seconds=5,
    pairs=20,
    rates=(1000, 2000),
    nodes=4,
    rooms=(50, 100, 200),
    joiners=10,  # they take 3 s, in which there are as many beats as in the rest that is subtracted
    further=(2, 2),
    rest=2,
    dropped=300,
)
SMALL = Load(
    within=Size(seconds=0.2, pairs=2, rate=0, idle=0, connects=0, storm=0, rooms=(), others=0),
    seconds=0.5,
    pairs=2,
    rates=(200,),
    nodes=2,
    rooms=(6,),
    joiners=2,
    further=(1,),
    rest=0.2,
    dropped=10,
)


async def between_nodes(kind: Kind, load: Load) -> Figures:
    """Send signals at steady rates, in both directions, between pairs whose peers are on two nodes."""
    figures: Figures = {}
    async with cluster_of(kind, 2) as cluster:
        pairs = await pairs_across(cluster, load.pairs)
        await steadily(
            pairs, load.rates[-1], load.seconds
        )  # a Node server is slow until its code is compiled
        for rate in load.rates:
            before = await cluster.usage()
            delays = await steadily(pairs, rate, load.seconds)
            used = (await cluster.usage() - before) / len(delays)
            figures[f"CPU per signal between two nodes at {rate} a second (µs)"] = used.cpu * 1e6
            figures.update(percentiles(delays, f"between two nodes at {rate} a second"))
        close_all([phone for pair in pairs for phone in pair])
    return {**figures, **through_redis("signal between two nodes", used)}


async def saturated(kind: Kind, load: Load) -> Figures:
    """Play the closed loop between two nodes, and on one node alone; without what Redis uses."""
    async with running(kind.alone, free_port()) as server:
        alone = await closed_loop(server, load.within)
    async with cluster_of(kind, 2) as cluster:
        pairs = await pairs_across(cluster, load.within.pairs)
        across = await to_and_fro(pairs, cluster.cpu_of_nodes, load.within.seconds)
        close_all([phone for pair in pairs for phone in pair])
    name = "CPU per signal (µs)"
    return {"CPU per signal between two nodes, saturated, against one node": across[name] / alone[name]}


async def pairs_across(cluster: Cluster, count: int) -> list[tuple[Phone, Phone]]:
    """Connect pairs of peers, each in its own room; the first peer is on either node in turn."""
    ones, others = await asyncio.gather(*(connect_many(node.url, count) for node in cluster.nodes[:2]))
    rooms = [f"pair-{next(ROOMS)}" for _ in range(count)]
    for phones in (ones, others):
        for phone, room in zip(phones, rooms, strict=True):
            phone.join(room)
        await until(phones, lambda phone: phone.members > 0)
    # The legacy server only tells a joiner about the members on its own node
    await until(ones, lambda phone: len(phone.known) == 1)
    pairs = zip(ones, others, strict=True)
    return [pair[::-1] if number % 2 else pair for number, pair in enumerate(pairs)]


async def within_node(kind: Kind, load: Load) -> Figures:
    """Play the closed loop on one node, without the store and with it; the CPU of Redis counts too."""
    async with running(kind.alone, free_port()) as server:
        alone = await closed_loop(server, load.within)
    async with cluster_of(kind, 1) as cluster:
        redis = cluster.redis
        node: Server = replace(cluster.nodes[0], beside=() if redis is None else (redis.pid,))
        shared = await closed_loop(node, load.within)
    name = "CPU per signal (µs)"
    return {"CPU per signal within a node, with the store against without": shared[name] / alone[name]}


async def joins(kind: Kind, load: Load) -> Figures:
    """Let peers join rooms that are spread over some nodes, beside further nodes; also measure the cost of rest."""
    figures: Figures = {}
    async with cluster_of(kind, 0) as cluster:
        alone = await cluster.spent(asyncio.sleep(load.rest))
        await cluster.grow(load.nodes)
        figures.update(await at_rest(cluster, load, alone))
        await last_joins(cluster, load.rooms[0], load)  # until a Node server has compiled its code
        for members in load.rooms:
            used = await last_joins(cluster, members, load)
            figures[f"CPU of a join into a room of {members} on {load.nodes} nodes (ms)"] = used.cpu * 1e3
            figures.update(through_redis(f"join into a room of {members} on {load.nodes} nodes", used))
        for more in load.further:
            await cluster.grow(more)
            used = await last_joins(cluster, members, load)
            further = len(cluster.nodes) - load.nodes
            figures[f"… of {members}, beside {further} nodes without members (ms)"] = used.cpu * 1e3
        figures.update(await at_rest(cluster, load, alone))
    return figures


async def at_rest(cluster: Cluster, load: Load, alone: Usage) -> Figures:
    """Count what nodes without peers use; `alone` is the usage of Redis without them."""
    await asyncio.sleep(load.rest)
    used = await cluster.spent(asyncio.sleep(load.rest * 2)) / 2 - alone
    each = used / load.rest / len(cluster.nodes)
    name = f"second of each of {len(cluster.nodes)} nodes at rest"
    return {f"its own CPU per {name} (µs)": each.nodes * 1e6, **through_redis(name, each)}


async def last_joins(cluster: Cluster, members: int, load: Load) -> Usage:
    """Fill a room on the cluster's first nodes; returns what each of the last joins uses, minus rest."""
    room = f"room-{next(ROOMS)}"
    nodes = cluster.nodes[: load.nodes]
    phones = await connect_spread(nodes, members)
    residents, joiners = phones[: -load.joiners], phones[-load.joiners :]
    await fill(room, residents)
    await asyncio.sleep(load.rest)
    rest = await cluster.spent(asyncio.sleep(JOIN_EVERY * load.joiners))
    used = await cluster.spent(join_in_turn(room, joiners, residents))
    close_all(phones)
    await asyncio.sleep(load.rest)
    return (used - rest) / load.joiners


async def connect_spread(nodes: list[Server], count: int) -> list[Phone]:
    """Connect peers to the nodes in turn."""
    shares = [len(range(number, count, len(nodes))) for number in range(len(nodes))]
    connected = await asyncio.gather(
        *(connect_many(node.url, share) for node, share in zip(nodes, shares, strict=True))
    )
    return [connected[number % len(nodes)][number // len(nodes)] for number in range(count)]


async def fill(room: str, phones: list[Phone]) -> None:
    """Let peers join a room, the first one before the others, and wait until each is in it."""
    for some in (phones[:1], phones[1:]):
        for phone in some:
            phone.join(room)
        await until(some, lambda phone: phone.members > 0)
    await until(phones[:1], lambda phone: len(phone.known) == len(phones) - 1)


async def join_in_turn(room: str, joiners: list[Phone], residents: list[Phone]) -> None:
    """Let peers join a room one by one, each when the members know the one before."""
    started = time.perf_counter()
    for number, joiner in enumerate(joiners):
        joiner.join(room)
        peer_id = joiner.peer_id.encode()
        await until(residents, lambda phone, peer_id=peer_id: peer_id in phone.known)  # type: ignore[misc]
        await asyncio.sleep(started + JOIN_EVERY * (number + 1) - time.perf_counter())


async def back_again(kind: Kind, load: Load) -> Figures:
    """Drop the members of one room at once, and let them all come back in the same instant."""
    room = f"room-{next(ROOMS)}"

    async def back(node: Server) -> Phone:
        phone = await connect(node.url, Phone)
        phone.join(room)
        return phone

    async with cluster_of(kind, 2) as cluster:
        phones = await connect_spread(cluster.nodes, load.dropped)
        await fill(room, phones)
        await asyncio.sleep(load.rest)
        started = time.perf_counter()
        for phone in phones:
            phone.transport.disconnect()
        phones = await asyncio.gather(
            *map(back, (cluster.nodes[number % 2] for number in range(load.dropped)))
        )
        await until(phones, lambda phone: phone.members > 0)
        joined = time.perf_counter() - started
        whole = await whole_rosters(phones) - started if kind.tells_whole_rosters else math.nan
        close_all(phones)
    return {
        f"{load.dropped} peers dropped at once, until all have joined again (s)": joined,
        "… until each has the whole roster and nobody else (s)": whole,
    }


async def whole_rosters(phones: list[Phone]) -> float:
    """Wait until each peer knows all others, and its last roster has exactly these peers; returns the time."""
    everyone = {phone.peer_id for phone in phones}

    def whole(phone: Phone) -> bool:
        return (
            len(phone.known) >= len(everyone) - 1
            and phone.members == len(everyone)
            and phone.roster == everyone
        )

    await until(phones, whole)
    return time.perf_counter()


def through_redis(name: str, used: Usage) -> Figures:
    """Return what Redis does for one of the things that `name` names."""
    return {
        f"Redis's commands per {name}": used.commands,
        f"publications per {name}": used.publications,
        f"bytes that Redis reads per {name}": used.received,
        f"bytes that Redis sends per {name}": used.sent,
        f"Redis's CPU per {name} (µs)": used.redis * 1e6,
    }


Measure = Callable[[Kind, Load], Awaitable[Figures]]
MEASURES: dict[str, Measure] = {
    "between_nodes": between_nodes,
    "saturated": saturated,
    "within_node": within_node,
    "joins": joins,
    "back_again": back_again,
}
