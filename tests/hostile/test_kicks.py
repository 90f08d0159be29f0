"""Who is put out stays out, and nobody else is; addresses, acks and bursts are what they seem."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette

from hostile.arena import arena
from hostile.services import ATTACHED, IN_PROCESS, OURS, Kind, service
from support.peers import RawPeer, raw_peer
from support.raw import Transport
from support.servers import hosted, serve
from support.waiting import becomes, eventually
from walkie_signal import Credentials, Identity, attach

TRANSPORTS: list[Transport] = ["websocket", "polling"]


@pytest.mark.promise(
    "Bad input",
    "A kick closes the peer's transport within 1 s, also if the peer does not read, and affects no other "
    "peer",
)
@ATTACHED
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_kicked_peer_is_closed_and_can_not_come_back_on_its_transport(
    kind: Kind, transport: Transport
) -> None:
    """Defect 5: python-socketio leaves the transport open, and a CONNECT brings the peer back."""
    async with arena(kind) as fight:
        for _ in range(10):
            async with fight.attack(transport=transport, lines=0) as attacker:
                assert await fight.service.signaling.kick(attacker.peer_id) is True
                await attacker.send("40", '427["join_room",{"room":"gate"}]')
                await attacker.closed(within=1)
                last = [frame for frame in attacker.heard if frame[:2] in ("40", "41", "43")][-1]
                assert last == "41", attacker.heard
                assert await fight.service.signaling.kick(attacker.peer_id) is False


@pytest.mark.promise("Bad input", "Stock servers do what the docs say of them")
@pytest.mark.parametrize("kind", ["stock"])
async def test_on_a_stock_server_a_kicked_peer_is_told_and_is_out_of_its_rooms(kind: Kind) -> None:
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        assert await fight.service.signaling.kick(attacker.peer_id) is True
        await attacker.until(lambda frame: frame == "41", "DISCONNECT")
        await attacker.send("40", '42["join_room",{"room":"gate"}]')
        assert [peer.peer_id for peer in await fight.service.signaling.peers("gate")] == [
            fight.bystander.peer_id
        ]


@ATTACHED
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_peer_that_the_host_disconnects_can_not_come_back_on_its_transport(
    kind: Kind, transport: Transport
) -> None:
    """The same by ``sio.disconnect``, which a host may know better."""
    async with arena(kind) as fight, fight.attack(transport=transport, lines=0) as attacker:
        await fight.service.sio.disconnect(attacker.peer_id)
        await attacker.send("40")
        await attacker.closed()
        last = [frame for frame in attacker.heard if frame[:2] in ("40", "41", "43")][-1]
        assert last == "41", attacker.heard


async def _cut_off(peer: RawPeer, within: float) -> None:
    """Wait until what a peer sends meets a socket that is closed, which it hears of without reading."""

    async def cut() -> bool:
        await peer.send("3")
        return bool(peer.session.wire.cut)

    await eventually(cut, what="closed", within=within)


@pytest.mark.promise(
    "Bad input",
    "A kick closes the peer's transport within 1 s, also if the peer does not read, and affects no other "
    "peer",
)
@ATTACHED
async def test_a_kicked_peer_that_does_not_read_is_gone_at_once(kind: Kind) -> None:
    """Defect 6: python-engineio waits for it, for ever."""
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        await attacker.pause()
        payload = {"targetId": attacker.peer_id, "signal": "x" * 60_000}
        connection = fight.service.sio.eio.sockets[attacker.handshake["sid"]]
        while not connection.outbox.size:
            assert await fight.bystander.ask("signal", payload) == {"ok": True}
        loop = asyncio.get_running_loop()
        kicked = loop.time()
        assert await asyncio.wait_for(fight.service.signaling.kick(attacker.peer_id), 1) is True
        gone = {"peerId": attacker.peer_id, "room": "gate", "reason": "kicked"}
        await becomes(
            lambda: ["peer_disconnected", gone] in fight.bystander.events(), expected=True, within=1
        )
        await becomes(lambda: len(fight.service.sio.eio.sockets), 1, within=1)
        assert loop.time() - kicked < 1
        if kind == "direct":  # ASGI has no way to abort: on plain uvicorn it may stay, and nobody hears it
            await _cut_off(attacker, within=kicked + 1 - loop.time())
        await attacker.send("40", '427["join_room",{"room":"gate"}]')
        assert await fight.service.signaling.kick(attacker.peer_id) is False
        attacker.resume()
        await attacker.closed(within=5)
        assert not [frame for frame in attacker.heard if frame[:3] == "437"], "it came back"


@pytest.mark.promise(
    "Bad input",
    "A kick closes the peer's transport within 1 s, also if the peer does not read, and affects no other "
    "peer",
)
@IN_PROCESS
async def test_who_has_just_left_can_be_kicked_with_no_harm_to_others(kind: Kind) -> None:
    """Defect 26: looked up, it gives ``None``, which to python-engineio means everybody."""
    async with arena(kind) as fight:
        for _ in range(20):
            async with fight.attack(lines=0) as attacker:
                kick = fight.service.signaling.kick
                await asyncio.gather(attacker.abort(), kick(attacker.peer_id), kick(attacker.peer_id))
                assert await kick(attacker.peer_id) is False
                for peer_id in ("", "gate", "nobody", attacker.handshake["sid"]):
                    assert await kick(peer_id) is False
                await fight.service.sio.disconnect(attacker.peer_id)
        assert fight.bystander.is_open
        if kind != "stock":
            await fight.service.sio.eio.disconnect(None)
            await fight.service.sio.eio.disconnect("nobody")
            await fight.serves_on()
            assert fight.bystander.is_open


@IN_PROCESS
async def test_a_service_without_peers_can_be_closed(kind: Kind) -> None:
    """Defect 23: closing no connections is an error to python-engineio."""
    async with service(kind) as running:
        await running.signaling.close()
        await running.signaling.close()
        if kind != "stock":
            await running.sio.eio.disconnect()
            await running.sio.shutdown()
        assert not running.lines()


async def test_the_command_without_peers_can_be_ended() -> None:
    async with service("serve") as running:
        pass
    assert not running.lines()


@pytest.mark.promise("Bad input", "Acks that were not asked for are ignored")
@OURS
async def test_acks_that_nobody_asked_for_are_ignored(kind: Kind) -> None:
    """Defect 14: number 0 took python-socketio's counter away, and the next emit with a callback failed."""
    async with arena(kind) as fight, fight.attack(lines=0) as attacker:
        for ack_id in (0, 1, 2, 7, 9999999999999999):
            await attacker.send(f"43{ack_id}[]", f'43{ack_id}["x",{{}}]')
            await attacker.send(f'461-{ack_id}[{{"_placeholder":true,"num":0}}]', b"x")
        assert await attacker.ask("signal", {"targetId": attacker.peer_id, "signal": 1}) == {"ok": True}
        if fight.service.sio is not None:
            asked = asyncio.create_task(fight.service.sio.call("question", to=attacker.peer_id, timeout=5))
            question = await attacker.until(lambda frame: frame.endswith('["question"]'))
            ack_id = question[2:].partition("[")[0]
            await attacker.send("430[]", f'43{ack_id}["answer"]', f'43{ack_id}["again"]')
            assert await asked == "answer"


PROXY = "203.0.113.9"


async def addressed(**config: Any) -> str | None:
    """Return the address that `authenticate` sees of a client behind a proxy, or one that says so."""
    seen: list[Credentials] = []

    async def authenticate(credentials: Credentials) -> Identity:
        seen.append(credentials)
        return Identity()

    async with hosted(attach(Starlette(), authenticate=authenticate), **config) as url:
        for transport in TRANSPORTS:
            async with raw_peer(url, transport, headers={"X-Forwarded-For": PROXY}) as peer:
                await peer.connect()
    assert len({credentials.client for credentials in seen}) == 1
    return seen[0].client


@pytest.mark.usefixtures("_each_websocket_class")
async def test_the_address_of_a_client_is_the_real_one() -> None:
    """Defect 21: python-engineio's ``REMOTE_ADDR`` is 127.0.0.1 for everybody."""
    assert await addressed(proxy_headers=True, forwarded_allow_ips="127.0.0.1") == PROXY
    assert await addressed(proxy_headers=True, forwarded_allow_ips="198.51.100.1") == "127.0.0.1"
    assert await addressed(proxy_headers=False) == "127.0.0.1"


async def test_the_command_believes_a_proxy_that_it_was_told_of_alone() -> None:
    for options, address in (("--trusted-proxy", "127.0.0.1"), PROXY), ((), "127.0.0.1"):
        async with serve(*options) as serving:
            async with raw_peer(serving.url, headers={"X-Forwarded-For": PROXY}) as peer:
                await peer.send("4x")
                await peer.closed()
            assert (await serving.program.line(r"closed: .* from ([\d.]+)"))[1] == address


@pytest.mark.promise("The Node server's clients", "A burst of candidates over polling arrives whole")
@OURS
async def test_a_burst_in_one_post_arrives_whole_and_in_order(kind: Kind) -> None:
    """Defect 27: python-engineio refuses more than 16 packets, and ICE candidates come in such bursts."""
    async with arena(kind) as fight, raw_peer(fight.url) as ann, raw_peer(fight.url, "polling") as bob:
        await ann.join("yard")
        await bob.join("yard")
        for count in (16, 17, 20, 300):
            head = f'42["signal",{{"targetId":"{ann.peer_id}","signal":'
            await bob.send(*[f"{head}{number}}}]" for number in range(count)])
            assert bob.session.posted == 200
            for number in range(count):
                assert (await ann.event("signal"))["signal"] == number
