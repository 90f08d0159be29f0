"""A host's app is one node among others, and its calls reach the whole service."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from fastapi import FastAPI

from cluster.crowds import crowd
from cluster.service import Store, holders, nodes
from support.servers import hosted
from walkie_signal import Member, attach


@pytest.mark.promise(
    "Many nodes", "For a cut-over, a host and the command beside it on the old port share their rooms"
)
async def test_a_host_and_the_command_beside_it_share_their_rooms(store: Store) -> None:
    """So that old phones, on the old port, and new ones hear each other."""
    host = FastAPI()
    app = attach(host, path="/api/socket.io", backend=store.url)
    async with (
        nodes(store.url, options=("--path", "/api/socket.io")) as (beside,),
        hosted(app) as url,
        crowd() as peers,
    ):
        old, new = [await peers.join(f"{each}/api", "gate", userId=each) for each in (beside.url, url)]
        await peers.settled(old, new)
        await holders(store, old, new)
        for sender, target in ((old, new), (new, old)):
            said = await target.hears("new_peer", peerId=sender.peer_id)
            assert said["userId"] == sender.url.removesuffix("/api")
            assert await sender.signal(target, {"sdp": sender.url}) == {"ok": True}
            await target.hears("signal", fromId=sender.peer_id, signal={"sdp": sender.url})
        await old.abort()
        await new.hears("peer_disconnected", peerId=old.peer_id)


@pytest.mark.promise("Many nodes", "`peers`, `rooms`, `send`, `kick` and the hooks cover the whole service")
async def test_a_host_asks_and_reaches_peers_of_another_node(store: Store) -> None:
    joined: list[Member] = []
    left: list[Member] = []
    attached: Any = attach(
        FastAPI(),
        backend=store.url,
        on_join=joined.append,
        on_leave=lambda member, _reason: left.append(member),
    )
    signaling = attached.signaling
    async with nodes(store.url) as (other,), hosted(attached) as url, crowd() as peers:
        assert signaling.ready
        here = await peers.join(url, "gate", userId=7)
        there = await peers.join(other.url, "gate", userId=7)
        away = await peers.join(other.url, "yard", userId="eve")
        await peers.settled(here, there)
        held_by = await holders(store, here, there, away)
        assert await signaling.rooms() == ["gate", "yard"]
        found = await signaling.peers("gate")
        assert {member.peer_id: member.node for member in found} == {
            here.peer_id: held_by[url],
            there.peer_id: held_by[other.url],
        }
        assert [member.user_id for member in await signaling.peers("yard")] == ["eve"]
        assert await signaling.send(7, "ring", {"from": "gate"}) == 2
        assert await signaling.send("eve", "ring", {"from": "yard"}) == 1
        assert await signaling.send("nobody", "ring", {}) == 0
        for peer, place in ((here, "gate"), (there, "gate"), (away, "yard")):
            await peer.hears("ring")
            assert peer.all("ring") == [{"from": place}]
        assert await signaling.kick(there.peer_id) is True
        await there.closed(within=5)
        assert "41" in there.heard, "a stock client would come back"
        await here.hears("peer_disconnected", peerId=there.peer_id, reason="kicked")
        assert await signaling.kick(there.peer_id) is False
        await peers.settled(here)
        assert [member.peer_id for member in joined] == [here.peer_id], (
            "a hook of the other node's peer ran here"
        )
        assert left == []


@pytest.mark.promise("Many nodes", "`peers`, `rooms`, `send`, `kick` and the hooks cover the whole service")
async def test_the_connections_of_a_dead_node_are_reached_by_nobody(store: Store) -> None:
    """Not counted either, from the moment of its death on: the host wakes the phone another way."""
    attached: Any = attach(FastAPI(), backend=store.url)
    signaling = attached.signaling
    async with hosted(attached) as url, nodes(store.url) as (dies,), crowd() as peers:
        here = await peers.join(url, "gate", userId=7)
        there = await peers.join(dies.url, "gate", userId=7)
        await peers.settled(here, there)
        await holders(store, here, there)
        assert await signaling.send(7, "ring", {"number": 1}) == 2
        dies.program.send_signal(signal.SIGKILL)
        await dies.program.wait()
        await there.closed(within=5)
        assert await signaling.send(7, "ring", {"number": 2}) == 1
        assert await signaling.kick(there.peer_id) is False
        await here.hears("ring", number=2)
