"""The one timer of all connections."""

from __future__ import annotations

import asyncio

import pytest

from walkie_signal.transport.engineio.sweep import Sweep


async def test_a_fault_of_one_keeps_no_other_from_being_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    looked: asyncio.Queue[str] = asyncio.Queue()

    def due(sid: str, now: float) -> float | None:
        if sid == "bad":
            raise RuntimeError("as told")
        looked.put_nowait(sid)
        return now

    sweep = Sweep(0.2, due, lambda _sid, _now: False)
    now = asyncio.get_running_loop().time()
    for sid in ("one", "bad", "two", "three"):
        sweep.add(sid, now)
    try:
        seen = [await asyncio.wait_for(looked.get(), 5) for _ in range(9)]
    finally:
        sweep.stop()
    assert sorted(seen) == sorted(["one", "two", "three"] * 3)
    assert "a fault in looking after a connection" in caplog.text


async def test_who_is_forgotten_is_looked_at_no_more() -> None:
    looked: asyncio.Queue[str] = asyncio.Queue()

    def due(sid: str, now: float) -> float | None:
        looked.put_nowait(sid)
        return now

    sweep = Sweep(0.2, due, lambda _sid, _now: False)
    now = asyncio.get_running_loop().time()
    for sid in ("stays", "goes"):
        sweep.add(sid, now)
    sweep.forget("goes")
    try:
        assert [await asyncio.wait_for(looked.get(), 5) for _ in range(3)] == ["stays"] * 3
    finally:
        sweep.stop()
