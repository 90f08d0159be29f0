"""The measures: each function runs one load against one server and returns its figures by name."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from phones import PADDING, Phone, close_all, connect_many, pair_up, until
from servers import Server

Figures = dict[str, float]
JOINERS = 5
"""Peers that join a room last, one after the other."""

FANNED_OUT = 200
"""The least number of members that are told altogether; small rooms are filled several times for it."""

FILLED_AT_ONCE = 50


@dataclass(frozen=True)
class Size:
    """How much load there is: the real one, or a small one that shows that the benchmark works."""

    seconds: float
    pairs: int
    rate: int
    idle: int
    connects: int
    storm: int
    rooms: tuple[int, ...]
    others: int


REAL = Size(
    seconds=5, pairs=50, rate=4000, idle=1000, connects=500, storm=200, rooms=(10, 100, 1000), others=10_000
)
SMALL = Size(seconds=0.5, pairs=5, rate=200, idle=20, connects=20, storm=10, rooms=(10,), others=20)


def signal_to(target: Phone, value: object) -> bytes:
    """Encode a signal of 1 kB."""
    payload = {"targetId": target.peer_id, "signal": {"type": "offer", "sdp": PADDING, "value": value}}
    return b"42" + json.dumps(["signal", payload], separators=(",", ":")).encode()


def check_signal(data: bytes, sender: Phone, value: object) -> None:
    """Fail if a relayed signal is not what was sent, key by key."""
    expected = {"fromId": sender.peer_id, "signal": {"type": "offer", "sdp": PADDING, "value": value}}
    if json.loads(data[2:]) != ["signal", expected]:
        raise AssertionError(f"a signal arrived as {data[:200]!r}…")


async def closed_loop(server: Server, size: Size) -> Figures:
    """Let each pair play a signal to and fro, as fast as the server lets it."""
    pairs = await pair_up(server.url, size.pairs)
    figures = await to_and_fro(pairs, server.cpu, size.seconds)
    close_all([phone for pair in pairs for phone in pair])
    return figures


async def to_and_fro(pairs: list[tuple[Phone, Phone]], cpu: Callable[[], float], seconds: float) -> Figures:
    """Let each pair play a signal to and fro; `cpu` returns the seconds of CPU used so far."""
    phones = [phone for pair in pairs for phone in pair]

    def play(one: Phone, other: Phone) -> None:
        def first(data: bytes) -> None:
            check_signal(data, other, 0)
            one.on_signal = None
            one.answer = signal_to(other, 0)
            one.send(one.answer)

        one.on_signal = first

    for one, other in pairs:
        play(one, other)
        play(other, one)
        one.send(signal_to(other, 0))
    await asyncio.sleep(seconds / 5)
    before, spent = sum(phone.answered for phone in phones), cpu()
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    taken, used = time.perf_counter() - started, cpu() - spent
    signals = sum(phone.answered for phone in phones) - before
    return {"signals a second": signals / taken, "CPU per signal (µs)": used / signals * 1e6}


async def fixed_rate(server: Server, size: Size) -> Figures:
    """Send at a rate that every server can take, and measure how long a signal is on its way."""
    pairs = await pair_up(server.url, size.pairs)
    delays = await steadily(pairs, size.rate, size.seconds)
    close_all([phone for pair in pairs for phone in pair])
    return percentiles(delays, f"at {size.rate} a second")


async def steadily(pairs: list[tuple[Phone, Phone]], rate: int, seconds: float) -> list[float]:
    """Send signals from the first of each pair to the second; returns how long each was on its way."""
    sent: dict[int, float] = {}
    delays: list[float] = []
    total = int(rate * seconds)
    done = asyncio.get_running_loop().create_future()
    for one, other in pairs:

        def arrived(data: bytes, one: Phone = one) -> None:
            number = int(data[data.rindex(b":") + 1 : data.index(b"}", data.rindex(b":"))])
            delays.append(time.perf_counter() - sent.pop(number))
            if number < len(pairs):
                check_signal(data, one, number)
            if len(delays) == total:
                done.set_result(None)

        other.on_signal = arrived
    heads = [signal_to(other, 0).rpartition(b":0")[0] for _, other in pairs]
    started = time.perf_counter()
    for number in range(total):
        due = started + number / rate
        while (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait if wait > 0.002 else 0)
        sent[number] = time.perf_counter()
        pairs[number % len(pairs)][0].send(heads[number % len(pairs)] + b":%d}}]" % number)
    try:
        await asyncio.wait_for(done, 60)
    except asyncio.TimeoutError:  # Python 3.10 has one of its own
        raise TimeoutError(f"{len(sent)} of {total} signals never came") from None
    return delays


def percentiles(delays: list[float], load: str) -> Figures:
    """Return the median and the 99th percentile, in milliseconds."""
    delays.sort()
    return {
        f"p50 {load} (ms)": delays[len(delays) // 2] * 1e3,
        f"p99 {load} (ms)": delays[int(len(delays) * 0.99)] * 1e3,
    }


async def idle_memory(server: Server, size: Size) -> Figures:
    """Hold connections that do nothing."""
    close_all(await connect_many(server.url, 50))
    before = server.memory()
    phones = await connect_many(server.url, size.idle)
    used = server.memory() - before
    close_all(phones)
    return {"memory per idle connection (KB)": used / size.idle / 1024}


async def connects(server: Server, size: Size) -> Figures:
    """Connect one after the other, ten at once."""
    close_all(await connect_many(server.url, 50))
    started, cpu = time.perf_counter(), server.cpu()
    phones = await connect_many(server.url, size.connects, at_once=10)
    taken, used = time.perf_counter() - started, server.cpu() - cpu
    close_all(phones)
    return {"connects a second": size.connects / taken, "CPU per connect (µs)": used / size.connects * 1e6}


async def storm(server: Server, size: Size) -> Figures:
    """Let many peers join one room at the same moment, until each knows all others and the whole roster."""
    phones = await connect_many(server.url, size.storm)
    before = sum(phone.received for phone in phones)
    started = time.perf_counter()
    for phone in phones:
        phone.join("storm")
    await until(phones, lambda phone: len(phone.known) == size.storm - 1)
    taken = time.perf_counter() - started
    await until(phones, lambda phone: phone.members == size.storm)
    received = sum(phone.received for phone in phones) - before
    close_all(phones)
    return {f"{size.storm} joins at once (s)": taken, f"{size.storm} joins at once (MB)": received / 1e6}


async def fan_out(server: Server, size: Size) -> Figures:
    """Let the last peers join rooms one by one, and measure how long it takes until all others know."""
    figures: Figures = {}
    for members in size.rooms:
        try:
            taken, used = await last_joins(server, members)
        except TimeoutError:  # a server for which this is too much
            taken = used = math.nan
        figures[f"a join into a room of {members}, until each member knows (ms)"] = taken * 1e3
        figures[f"CPU of a join into a room of {members} (ms)"] = used * 1e3
    return figures


async def last_joins(server: Server, members: int) -> tuple[float, float]:
    """Fill rooms with `members`; returns the seconds that each of the last joins takes, and the seconds of CPU."""
    taken = used = 0.0
    rooms = max(1, FANNED_OUT // members)
    for number in range(rooms):
        room = f"room-{members}-{number}"
        phones = await connect_many(server.url, members)
        residents, joiners = phones[:-JOINERS], phones[-JOINERS:]
        await fill(room, residents)
        cpu, started = server.cpu(), time.perf_counter()
        for joiner in joiners:
            joiner.join(room)
            peer_id = joiner.peer_id.encode()
            await until(residents, lambda phone, peer_id=peer_id: peer_id in phone.known)  # type: ignore[misc]
        taken += time.perf_counter() - started
        await until(joiners, lambda phone: len(phone.known) >= members - JOINERS)
        used += server.cpu() - cpu
        close_all(phones)
    return taken / rooms / JOINERS, used / rooms / JOINERS


async def fill(room: str, phones: list[Phone]) -> None:
    """Let peers join a room, but not all at once, which `storm` measures; returns when all have the whole roster.

    So no roster of these joins is told while the next ones are measured.
    """
    for end in range(FILLED_AT_ONCE, len(phones) + FILLED_AT_ONCE, FILLED_AT_ONCE):
        for phone in phones[end - FILLED_AT_ONCE : end]:
            phone.join(room)
        others = min(end, len(phones)) - 1
        await until(phones[:end], lambda phone, others=others: len(phone.known) == others)  # type: ignore[misc]
    await until(phones, lambda phone: phone.members == len(phones))


async def beside_others(server: Server, size: Size) -> Figures:
    """Play the closed loop once more, beside many peers in other rooms."""
    name = "CPU per signal (µs)"
    alone = await closed_loop(server, size)
    others = await connect_many(server.url, size.others)
    for number, phone in enumerate(others):
        phone.join(f"other-{number // 10}")
    try:
        await until(others, lambda phone: phone.members > 0)
        ratio = (await closed_loop(server, size))[name] / alone[name]
    except TimeoutError:  # a server for which this is too much
        ratio = math.nan
    close_all(others)
    return {f"CPU per signal beside {size.others} peers, against none": ratio}


Measure = Callable[[Server, Size], Awaitable[Figures]]
MEASURES: dict[str, Measure] = {
    "closed_loop": closed_loop,
    "fixed_rate": fixed_rate,
    "idle_memory": idle_memory,
    "connects": connects,
    "storm": storm,
    "fan_out": fan_out,
    "beside_others": beside_others,
}
