"""Here only a test with the marker ``programs`` starts one, so that the others run everywhere, and quickly."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def _programs_have_their_marker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*command: object, **_options: object) -> NoReturn:
        pytest.fail(f"starts {command[0]} without the marker `programs`")

    if request.node.get_closest_marker("programs") is None:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
