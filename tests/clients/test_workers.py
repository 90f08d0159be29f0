"""Stock peers on two workers, where no two requests in a row of a session come to the same one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import pytest

from clients.front import Front, front
from clients.test_java import call_and_leave, jar  # noqa: F401 - a fixture
from clients.transcripts import differences, undocumented
from clients.workers import WAYS
from support.node import Transports, legacy_transcript, script

REPEAT = int(os.environ.get("REPEAT", "1"))
"""How often each test runs, as in ``tests/cluster``."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if REPEAT > 1:
        metafunc.fixturenames.append("_round")
        metafunc.parametrize("_round", range(1, REPEAT + 1), ids=lambda number: f"round{number}")


def each_way(*transports: str, every: str) -> pytest.MarkDecorator:
    """Run a test on each way, by the last of the transports; by each of them on Redis and in the way `every`.

    If it is repeated, it runs by each of them in each way.
    """
    cases = [
        (way, each)
        for way in WAYS
        for each in transports
        if REPEAT > 1 or each == transports[-1] or "Redis" in way or way == every
    ]
    return pytest.mark.parametrize(("way", "transports"), cases)


@asynccontextmanager
async def two_workers(way: str) -> AsyncIterator[Front]:
    """Run two workers with a front; fails unless both held peers."""
    async with WAYS[way]() as endpoint, front(endpoint) as made:
        yield made
        assert len(made.holders) == 2, f"all peers were on {made.holders}"


def check_shares(made: Front, transports: str) -> None:
    """Check that both workers had their part in each session."""
    kinds = {each.kind for each in made.elsewhere}
    print(  # noqa: T201 - for a run that repeats it
        f"{transports}: {len(made.sessions)} sessions, {len(made.requests)} requests, "
        f"on {len(made.holders)} workers, {len(made.elsewhere)} of them handed over ({', '.join(sorted(kinds))})"
    )
    if transports == "websocket":
        assert not made.sessions, "one connection is the whole session"
        return
    alone = [session for session, workers in made.sessions.items() if len(workers) != 2]
    assert not alone, f"no request of {alone} came to the other worker"
    assert kinds >= ({"GET", "POST"} if transports == "polling" else {"websocket"}), kinds


@pytest.mark.promise(
    "Many nodes",
    "Stock npm and Java clients work on two workers if successive requests of a session never reach the "
    "same one",
)
@pytest.mark.node
@each_way(*get_args(Transports), every="uvicorn-attach")
async def test_stock_npm_peers_hold_the_parity_conversation(way: str, transports: Transports) -> None:
    legacy = await legacy_transcript()
    async with two_workers(way) as made:
        ours = await script("parity.js", made.url, transports)
        check_shares(made, transports)
    assert differences(legacy, ours) == []
    assert undocumented(ours) == []
    assert ours["spaced"] == []
    assert ours["transports"] == ["websocket" if transports == "upgrade" else transports]


@pytest.mark.promise(
    "Many nodes",
    "Stock npm and Java clients work on two workers if successive requests of a session never reach the "
    "same one",
)
@pytest.mark.java
@each_way("polling", "polling,websocket", every="")
async def test_two_android_peers_call(jar: Path, way: str, transports: str) -> None:  # noqa: F811
    async with two_workers(way) as made:
        await call_and_leave(jar, made.url, transports)
        check_shares(made, transports)
