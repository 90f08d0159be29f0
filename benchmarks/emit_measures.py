"""The measures of what a host emits to rooms of its own, across nodes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cluster_measures import ROOMS, through_redis
from clusters import Cluster, Kind, cluster_of
from measures import Figures, percentiles
from phones import PATIENCE, Phone, close_all, connect_many, until
from picows import WSFrame, WSMsgType, WSTransport
from servers import SCRIPTS, Column

HERE = __file__.rpartition("/")[0]
SENDS = b'42["shout","'
HEARS = b'42["shout",'
VOICE = bytes(320)
"""A frame of 20 ms of Opus at 128 kbit/s, the most that a voice takes."""

FRAMES_A_SECOND = 50


@dataclass(frozen=True)
class Load:
    """How much load there is: the real one, or a small one that shows that the benchmark works."""

    seconds: float
    rate: int
    pairs: int
    channels: int
    hearers: int
    """Listeners of a channel; half of them are on each node."""
    further: int
    """Nodes that have nobody in a room."""


REAL = Load(seconds=5, rate=2000, pairs=20, channels=20, hearers=25, further=4)
SMALL = Load(seconds=0.5, rate=200, pairs=2, channels=2, hearers=4, further=1)


def ours(backend: str, *, meets: bool) -> Column:
    """Return a node of a host of ours on a backend; `meets` says whether it sees the other nodes of its machine."""
    command = (
        str(SCRIPTS / "uvicorn"),
        "radio:app",
        "--port",
        "{port}",
        "--no-access-log",
        "--app-dir",
        HERE,
    )
    folder = () if meets else (("RUNTIME_DIRECTORY", "{folder}"),)
    ways = ("--ws", "walkie_signal.direct:DirectProtocol", "--loop", "uvloop")
    return Column("a node", (*command, *ways), "running on", (("BACKEND", backend), *folder))


def kind(title: str, node: Column, *, redis: bool = True) -> Kind:
    """Return the kind of such nodes."""
    return Kind(title, node, node, tells_whole_rosters=False, redis=redis)


def kinds(packages: str) -> dict[str, Kind]:
    """Return the kinds of hosts; `packages` is where Node finds its packages."""
    environment = (("PORT", "{port}"), ("REDIS_URL", "{store}"), ("NODE_PATH", packages))
    node = Column("a legacy host", ("node", f"{HERE}/radio.js"), "ready", environment)
    return {
        "legacy": kind("Node with `@socket.io/redis-adapter`", node),
        "serve": kind("`attach` on Redis, as on two machines", ours("{store}", meets=False)),
        "machine": kind("`attach` on `machine:…`", ours("machine:{store}", meets=True), redis=False),
    }


class Radio(Phone):
    """A client of a host."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = False
        self.heard = 0
        self.head = b""  # of what it shouts
        self.on_shout: Callable[[bytes], None] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.heard += 1
            if self.on_change is not None:
                self.on_change()
            return
        super().on_ws_frame(transport, frame)

    def _heard(self, data: bytes) -> None:
        if data[: len(HEARS)] == HEARS and self.on_shout is not None:
            self.on_shout(data)
        self.entered = self.entered or data == b'42["entered"]'
        if self.on_change is not None:
            self.on_change()

    def enter(self, room: str) -> None:
        """Ask to enter a room."""
        self.send(b'42["enter","%s"]' % room.encode())


async def one_listener(kind: Kind, load: Load) -> Figures:
    """Emit to rooms with one listener each, on the other node, also beside further nodes."""
    name = f"an emit to one listener on another node, {load.rate} a second"
    async with cluster_of(kind, 2) as cluster:
        pairs = await pairs_across(cluster, load.pairs)
        await shouted(pairs, load)  # a Node server is slow until its code is compiled
        before = await cluster.usage()
        delays = await shouted(pairs, load)
        used = (await cluster.usage() - before) / len(delays)
        await cluster.grow(load.further)
        await asyncio.sleep(1)
        rest = await cluster.spent(asyncio.sleep(load.seconds))
        beside = (await cluster.spent(shouted(pairs, load)) - rest) / len(delays)
        close_all([phone for pair in pairs for phone in pair])
    return {
        f"CPU of {name} (µs)": used.cpu * 1e6,
        **percentiles(delays, f"of {name}"),
        f"… its CPU beside {load.further} more nodes, without their rest (µs)": beside.cpu * 1e6,
        **through_redis("emit to one listener", used),
    }


async def pairs_across(cluster: Cluster, count: int) -> list[tuple[Radio, Radio]]:
    """Connect pairs of clients, each with a room of its own; the first of a pair is on either node in turn."""
    ones, others = [await connect_many(node.url, count, kind=Radio) for node in cluster.nodes[:2]]
    pairs = [
        (one, other)[:: 1 if number % 2 else -1]
        for number, (one, other) in enumerate(zip(ones, others, strict=True))
    ]
    for speaker, hearer in pairs:
        room = f"pair-{next(ROOMS)}"
        speaker.enter(room)
        hearer.enter(room)
        speaker.head = SENDS + room.encode() + b'",'
    await until(ones + others, lambda phone: phone.entered)
    return pairs


async def shouted(pairs: list[tuple[Radio, Radio]], load: Load) -> list[float]:
    """Let the first of each pair shout at a steady rate; returns how long it took until the second heard it."""
    total, delays, sent = int(load.rate * load.seconds), list[float](), dict[int, float]()
    done = asyncio.get_running_loop().create_future()

    def arrived(data: bytes) -> None:
        delays.append(time.perf_counter() - sent.pop(int(data[len(HEARS) : -1])))
        if len(delays) == total:
            done.set_result(None)

    for _, hearer in pairs:
        hearer.on_shout = arrived
    started = time.perf_counter()
    for number in range(total):
        while (wait := started + number / load.rate - time.perf_counter()) > 0:
            await asyncio.sleep(wait if wait > 0.002 else 0)
        sent[number] = time.perf_counter()
        speaker = pairs[number % len(pairs)][0]
        speaker.send(speaker.head + b"%d]" % number)
    await asyncio.wait_for(done, PATIENCE)
    return delays


async def voice(kind: Kind, load: Load) -> Figures:
    """Let one client of each channel send binary frames of 20 ms to the others, half of whom are on each node."""
    async with cluster_of(kind, 2) as cluster:
        channels = []
        for number in range(load.channels):
            room = f"channel-{next(ROOMS)}"
            here, there = cluster.nodes[number % 2], cluster.nodes[1 - number % 2]
            speaker, *near = await connect_many(here.url, 1 + load.hearers // 2, kind=Radio)
            hearers = near + await connect_many(there.url, load.hearers - len(near), kind=Radio)
            for phone in (speaker, *hearers):
                phone.enter(room)
            await until([speaker, *hearers], lambda phone: phone.entered)
            channels.append((room, speaker, hearers))
        await spoken(channels, load)
        frames = int(load.seconds * FRAMES_A_SECOND) * load.channels
        used = await cluster.spent(spoken(channels, load)) / frames
        close_all([phone for _, speaker, hearers in channels for phone in (speaker, *hearers)])
    return {
        f"CPU of a voice frame to {load.hearers} listeners on two nodes, {load.channels} channels (µs)": used.cpu
        * 1e6
    }


async def spoken(channels: list[tuple[str, Radio, list[Radio]]], load: Load) -> None:
    """Let each channel's speaker speak for a while, until all have heard it all."""
    started, count = time.perf_counter(), int(load.seconds * FRAMES_A_SECOND)
    hearers = [hearer for _, _, some in channels for hearer in some]
    for hearer in hearers:
        hearer.heard = 0
    for number in range(count):
        await asyncio.sleep(max(0.0, started + number / FRAMES_A_SECOND - time.perf_counter()))
        for room, speaker, _ in channels:
            speaker.send(b'451-["shout","%s",{"_placeholder":true,"num":0}]' % room.encode())
            speaker.transport.send(WSMsgType.BINARY, VOICE)
    await until(hearers, lambda phone: phone.heard == count)


Measure = Callable[[Kind, Load], Awaitable[Figures]]
MEASURES: dict[str, Measure] = {"one_listener": one_listener, "voice": voice}
