"""Real WebRTC stacks that find one another by our signals: ``docs/examples/call.py``, run as a reader runs it."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.processes import Program, running
from support.servers import serve

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "call.py"

CALL_WITHIN = 60.0
"""Seconds until a call is up: it takes one or two, and aiortc encodes in Python on a shared machine."""


@asynccontextmanager
async def caller(url: str, name: str) -> AsyncIterator[Program]:
    """Run the example as one peer, with its warnings errors, until it is in the room."""
    async with running([sys.executable, "-W", "error", EXAMPLE, "--url", url, "--name", name]) as program:
        await program.line(r"^in patrol as \S+$")
        yield program


async def _heard(program: Program, other: str) -> None:
    await program.line(rf"^data channel: hello from {other}$", within=CALL_WITHIN)
    # silence would be frames too
    loudness = await program.line(r"^audio: 50 frames, loudest sample (\d+)$", within=CALL_WITHIN)
    assert int(loudness[1]) > 1000, program.output


@pytest.mark.promise("The Node server's clients", "Two WebRTC stacks get into a call by our signals only")
async def test_two_peers_talk_and_one_hears_the_other_hang_up() -> None:
    async with serve() as server, caller(server.url, "alice") as alice, caller(server.url, "bob") as bob:
        await _heard(alice, "bob")
        await _heard(bob, "alice")
        offering = [program for program in (alice, bob) if "impolite: I offer" in program.output]
        assert len(offering) == 1, alice.output + bob.output

        bob.send_signal(signal.SIGINT)
        assert await bob.wait() == 0, bob.output
        await alice.line(r"^peer gone: disconnected$")
        alice.send_signal(signal.SIGINT)
        assert await alice.wait() == 0
        for program in (alice, bob):
            assert not re.search(r"Traceback|Error|never retrieved", program.output), program.output


async def test_a_third_peer_is_in_a_call_with_each_of_the_two() -> None:
    async with (
        serve() as server,
        caller(server.url, "alice") as alice,
        caller(server.url, "bob") as bob,
        caller(server.url, "carol") as carol,
    ):
        for program, others in ((alice, "bob carol"), (bob, "alice carol"), (carol, "alice bob")):
            for other in others.split():
                await _heard(program, other)


async def test_the_example_ends_with_its_server_and_says_so() -> None:
    async with serve() as server, caller(server.url, "alice") as alice:
        server.program.send_signal(signal.SIGTERM)
        await server.program.wait()
        await alice.line(r"^the server is gone$")
        assert await alice.wait() == 0
