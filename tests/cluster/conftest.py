"""Each test of this folder runs as often as the environment variable REPEAT says."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from cluster.service import Folder, Store
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


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder of the test's own, whose path is short enough for Unix sockets."""
    return Folder(tmp_path_factory.mktemp("m"))


@pytest.fixture(params=["redis", "machine"])
async def store(request: pytest.FixtureRequest, folder: Folder) -> AsyncIterator[Store]:
    """What the nodes share: a Redis server of the test's own, or a folder."""
    if request.param == "machine":
        yield folder
        return
    async with redis_server() as server:
        yield server
