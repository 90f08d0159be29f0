"""The same steps to the ledger and to the scripts on a real Redis: the same answers, contents and publications."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st

from fuzz.seeds import SEED, for_as_long, numbers
from fuzz.stores import Scripts
from support.redis import redis_server
from walkie_signal.core.changes import Member
from walkie_signal.core.ledger import STAYS, Ledger, Published
from walkie_signal.core.replicas import Entry, Roster, Settled
from walkie_signal.core.values import Value

EXAMPLES = 40
"""How many lists of steps are tried in a run of `EXAMPLES`; with FUZZ_SECONDS there is one run after another."""

BEGIN = 1_700_000_000_000_000
ROOMS, NODES, KEYS, PEERS = ("r", "q {x} é"), ("n", "m"), ("floor", "k:7"), tuple("abcde")
ROLES = (None, "", 'lead "é" \\ \u2028')
TEXTS = ("", "text", 'a "b" \\ \n\0 {x} 日本 🙂 ', " 7 7 n ")
TIMES = (0, 0, 1, 1000, 999_999, 5_000_000, STAYS, STAYS + 1, 60_000_000)

Answer = tuple[Any, list[Published]]


@dataclass(frozen=True)
class Step:
    """What is done, some time after the step before."""

    after: int
    room: str
    node: str
    peer_id: str
    role: str | None

    @property
    def member(self) -> Member:
        return Member(self.peer_id, self.room, self.role, None, self.node)

    def play(self, store: Ledger | Scripts, now: int) -> Answer:
        raise NotImplementedError


@dataclass(frozen=True)
class Join(Step):
    capacity: int

    def play(self, store: Ledger | Scripts, now: int) -> Answer:
        return store.join(self.member, self.capacity, now)


@dataclass(frozen=True)
class Leave(Step):
    def play(self, store: Ledger | Scripts, now: int) -> Answer:
        return store.leave(self.room, self.peer_id, self.node, "left", now)


@dataclass(frozen=True)
class Settle(Step):
    listed: dict[str, int | None]
    """Its members, each with when it joined; ``None`` where the store may know better."""
    writes_back: tuple[Value, ...] | None

    def play(self, store: Ledger | Scripts, now: int) -> Answer:
        listed = {
            peer_id: None if since is None else Entry(replace(self.member, peer_id=peer_id), BEGIN + since)
            for peer_id, since in self.listed.items()
        }
        removed, published = store.settle(
            self.room, self.node, "disconnected", listed, now, writes_back=self.writes_back
        )
        return in_order(removed), published


@dataclass(frozen=True)
class Remove(Step):
    def play(self, store: Ledger | Scripts, now: int) -> Answer:
        removed, published = store.settle(self.room, self.node, "node_lost", {}, now)
        return in_order(removed), published


@dataclass(frozen=True)
class Swap(Step):
    key: str
    text: str
    asks: bool
    keep: int
    behind: int | None
    """How far the version that the node knows is behind; ``None`` for that of an absent value."""

    def play(self, store: Ledger | Scripts, now: int) -> Answer:
        known = 0 if self.behind is None else store.read(self.room, self.key, now).version - self.behind
        return store.swap(
            self.room,
            self.key,
            max(known, 0),
            self.text,
            now,
            node=self.node,
            member=self.peer_id if self.asks else None,
            keep=self.keep,
        )


common = {
    "after": st.sampled_from(TIMES),
    "room": st.sampled_from(ROOMS),
    "node": st.sampled_from(NODES),
    "peer_id": st.sampled_from(PEERS),
    "role": st.sampled_from(ROLES),
}
keeps = st.sampled_from([0, 0, 1000, 5_000_000, STAYS, 60_000_000])
values = st.builds(
    Value,
    key=st.sampled_from(KEYS),
    version=st.integers(1, 90_000_000).map(lambda after: BEGIN + after),
    until=keeps.map(lambda after: BEGIN + after if after else 0),
    node=st.sampled_from(NODES),
    text=st.sampled_from(TEXTS),
)
swaps = st.builds(
    Swap,
    **common,
    key=st.sampled_from(KEYS),
    text=st.sampled_from(TEXTS),
    asks=st.booleans(),
    keep=keeps,
    behind=st.sampled_from([0, 0, 0, 1, None, None]),
)
settles = st.builds(
    Settle,
    **common,
    listed=st.dictionaries(st.sampled_from(PEERS), st.none() | st.integers(0, 9), max_size=3),
    writes_back=st.none() | st.lists(values, max_size=2, unique_by=lambda value: value.key).map(tuple),
)
steps = st.one_of(
    st.builds(Join, **common, capacity=st.integers(1, 4)),
    st.builds(Join, **common, capacity=st.just(len(PEERS))),
    st.builds(Leave, **common),
    settles,
    swaps,
    swaps,
    st.builds(Remove, **common),
)


JOIN, LEAVE = Join(0, "r", "n", "a", None, 1), Leave(0, "r", "n", "a", None)
KEPT = Swap(0, "r", "n", "a", None, "floor", "long", asks=True, keep=60_000_000, behind=None)
BACK = Settle(0, "r", "n", "a", None, {}, (Value("floor", BEGIN + 7, 0, "n", "old"),))
SHORT = replace(KEPT, key="k:7", text="short", keep=5_001_000)
RARE: tuple[list[Step], ...] = (
    [
        *(JOIN, KEPT, SHORT, LEAVE),
        *(replace(LEAVE, after=after) for after in (5_000_000, 999, 1)),
        *(JOIN, LEAVE, replace(LEAVE, after=60_000_000 - 5_001_000)),
    ],
    [
        *(JOIN, KEPT, SHORT, LEAVE),
        *(replace(LEAVE, after=after) for after in (10_000_001, 60_000_000 - 10_000_002, 1)),
    ],
    [BACK, replace(BACK, after=1, listed={"a": 1})],
)
"""What random steps seldom come to: times of two values that end to the microsecond, and a value that is written
back twice."""


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.member.peer_id))


def comparable(published: list[Published]) -> list[tuple[Any, ...]]:
    """Return what was published, with the members that a node has settled in no order, as a script has them."""
    return [
        (
            room,
            version,
            replace(event, entries=in_order(event.entries)) if isinstance(event, Settled) else event,
        )
        for room, version, event in published
    ]


def contents(roster: Roster) -> tuple[Any, ...]:
    return roster.version, set(roster.entries), roster.settled, set(roster.values)


def play(given_steps: list[Step], store: Scripts, played: Counter[str]) -> None:
    store.clear()
    ledger, now = Ledger(), BEGIN
    for number, step in enumerate(given_steps):
        now += step.after
        expected, published = step.play(ledger, now)
        answer, heard = step.play(store, now)
        played[f"{type(step).__name__} {answer if isinstance(answer, bool | str) else len(answer)}"] += 1
        assert (answer, comparable(heard)) == (expected, comparable(published)), (number, step)
        for room in ROOMS if isinstance(step, Remove) else (step.room,):
            roster = ledger.roster(room, now)
            assert contents(store.roster(room, now)) == contents(roster), (number, step, room)
            assert (room in ledger.rooms(now)) == bool(roster.entries)


@for_as_long
async def test_the_scripts_on_redis_do_what_the_ledger_does(tell: Callable[[str], None]) -> None:
    async with redis_server() as server:
        store, played = Scripts(server.url, ROOMS), Counter[str]()

        def run(number: int) -> None:
            @seed(f"{SEED} {number}")
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.explicit, Phase.generate, Phase.shrink],
            )
            @example([RARE[0]])
            @example([RARE[1]])
            @example([RARE[2]])
            @given(st.lists(st.lists(steps)))
            def agree(given_steps: list[list[Step]]) -> None:
                play(list(chain(*given_steps)), store, played)

            agree()

        try:
            for number in numbers(1):
                await asyncio.to_thread(run, number)
        finally:
            store.close()
        tell(f"{played.total()} steps: {dict(played)}")
