"""Each test of this folder runs as often as the environment variable REPEAT says."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from support.redis import RedisServer, redis_server

REPEAT = int(os.environ.get("REPEAT", "1"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if REPEAT > 1:
        metafunc.fixturenames.append("_round")
        metafunc.parametrize("_round", range(1, REPEAT + 1), ids=lambda number: f"round{number}")


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    """A Redis server of the test's own."""
    async with redis_server() as server:
        yield server
