"""An app behind nginx, and the command on the old port beside it: one service by the name that both give."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import signal
from pathlib import Path

import pytest

from cluster.crowds import crowd
from hosts.several import uvicorn
from hosts.test_launchers import launched
from proxies.programs import nginx
from support.servers import serve
from support.stock import peers as stock_peers

pytestmark = pytest.mark.proxies

APP = """
from fastapi import FastAPI
from walkie_signal import attach

app = attach(FastAPI(), backend="machine:{name}")
"""


@pytest.mark.promise(
    "Many nodes", "For a cut-over, a host and the command beside it on the old port share their rooms"
)
async def test_an_app_and_the_command_beside_it_share_their_rooms_by_a_name(tmp_path: Path) -> None:
    name = f"patrol-{secrets.token_hex(8)}"
    async with (
        launched(uvicorn(), tmp_path, APP.format(name=name)) as (endpoint, _),
        serve("--backend", f"machine:{name}") as beside,
        nginx(tmp_path, "nginx.conf", endpoint) as url,
        crowd() as peers,
    ):
        new = await peers.spread(url, "gate")
        old = await peers.fill(beside.url, ["gate"], 2)
        everybody = [*new, *old]
        await peers.settled(*everybody)
        for sender, target in itertools.permutations(everybody, 2):
            assert await sender.signal(target, {"sdp": sender.peer_id}) == {"ok": True}
            await target.hears("signal", fromId=sender.peer_id)
        async with (
            stock_peers(url, "gate", transport="polling") as (one,),
            stock_peers(beside.url, "gate", transport="polling") as (other,),
        ):
            await one.hears("new_peer", peerId=other.peer_id)
            assert await other.signal(one, {"sdp": other.peer_id}) == {"ok": True}
            assert (await one.hears("signal"))["fromId"] == other.peer_id
            await asyncio.gather(*(peer.hears("new_peer", peerId=other.peer_id) for peer in everybody))
        await peers.settled(*everybody)
        beside.program.send_signal(signal.SIGTERM)
        await asyncio.gather(
            *(
                stays.hears("peer_disconnected", peerId=goes.peer_id, reason="disconnected")
                for stays in new
                for goes in old
            )
        )
        await peers.settled(*new)
        assert await beside.program.wait() == 0
