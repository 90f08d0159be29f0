"""Several workers of one command share their rooms with nothing configured, whoever starts them."""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
from pathlib import Path

import pytest

from cluster.crowds import crowd
from hosts.several import NAMESPACE, WAYS, run
from hosts.test_launchers import UNSTARTED
from hosts.test_servers import WARNING
from support.peers import RawPeer
from support.stock import web


async def say(sender: RawPeer, target: RawPeer) -> None:
    """Let one signal to another, with an ack, and be heard."""
    assert await sender.signal(target, {"sdp": sender.peer_id}) == {"ok": True}
    await target.hears("signal", fromId=sender.peer_id, signal={"sdp": sender.peer_id})


@pytest.mark.promise(
    "Many nodes",
    "Workers of uvicorn, gunicorn (also preloaded), hypercorn, granian and `serve` share their rooms with nothing "
    "configured",
)
@pytest.mark.parametrize("name", [*WAYS, "serve"])
async def test_the_workers_of_a_command_share_their_rooms(name: str, tmp_path: Path) -> None:
    async with run(name, tmp_path) as (url, program), crowd() as peers:
        everybody = stays, leaves, other, goes = await peers.spread(url, "gate", each=2)
        await peers.settled(*everybody)
        await asyncio.gather(*(say(*both) for both in itertools.permutations(everybody, 2)))
        assert await leaves.ask("leave_room", {"room": "gate"}) == {"ok": True}
        await other.hears("peer_disconnected", peerId=leaves.peer_id, reason="left")
        await goes.abort()
        await stays.hears("peer_disconnected", peerId=goes.peer_id, reason="disconnected")
        await peers.settled(stays, other)
        await check_nodes(name, url, stays, other)
        for wrong in ("Traceback", "ERROR", "WARNING", "rooms in memory"):
            assert wrong not in program.output, program.output
        program.send_signal(signal.SIGTERM)
        await program.wait(15)
        for wrong in ("/walkie_signal/", "was destroyed", WARNING, UNSTARTED):  # hypercorn logs its own end
            assert wrong not in program.output, program.output


async def check_nodes(name: str, url: str, *peers: RawPeer) -> None:
    """Check that each peer is on a node of its own, as the routes of the app tell, if it has one for that."""
    if name == "serve" or WAYS[name].code == NAMESPACE:
        return
    async with web(re.sub("/api$", "", url)) as http:
        members = (await http.get("/rooms/gate")).json()
    assert {each["peer_id"] for each in members} == {peer.peer_id for peer in peers}
    assert len({each["node"] for each in members}) == len(peers), members
