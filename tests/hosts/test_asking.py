"""What the host asks and orders: rooms, peers, send, kick."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI

from hosts.ways import SERVERS
from support.servers import hosted
from support.stock import TRANSPORTS, peers
from walkie_signal import SignalingNamespace, attach


@pytest.fixture(params=["attach", "stock"])
def app(request: pytest.FixtureRequest) -> Any:
    sio = SERVERS["stock"]() if request.param == "stock" else None
    return attach(FastAPI(), sio=sio)


@pytest.mark.promise("Hosts", "`rooms`, `peers`, `send`, `kick` and `close` do what they say")
async def test_who_is_where(app: Any) -> None:
    assert await app.signaling.rooms() == []
    assert await app.signaling.peers("gate") == []
    async with hosted(app) as url, peers(url, "yard", None, None) as (_, one, two):
        await one.join("gate", userId=7, role="guard")
        await two.join("gate")
        assert await app.signaling.rooms() == ["gate", "yard"]
        first, second = await app.signaling.peers("gate")
        assert (first.peer_id, first.room, first.user_id, first.role) == (one.peer_id, "gate", 7, "guard")
        assert (second.peer_id, second.user_id, second.role) == (two.peer_id, None, None)
        assert await app.signaling.peers("nowhere") == []


@pytest.mark.promise(
    "Hosts",
    "The README's app serves signaling under `fastapi run`, `fastapi dev`, uvicorn, its reload, and "
    "gunicorn; asking a signaling that nothing started logs a warning",
)
@pytest.mark.parametrize("order", ["rooms", "peers", "send", "kick"])
async def test_a_signaling_that_nothing_has_started_says_so_once(
    order: str, app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Its answers are those of an empty service, which is how a host learns that its server runs another app."""

    async def ask() -> Any:
        given: dict[str, tuple[str, ...]] = {
            "peers": ("gate",),
            "send": ("u-7", "hello"),
            "kick": ("nobody",),
        }
        return await getattr(app.signaling, order)(*given.get(order, ()))

    def warnings() -> list[str]:
        return [each.getMessage() for each in caplog.records if "nothing has started it" in each.getMessage()]

    assert [await ask(), await ask()] in ([[], []], [0, 0], [False, False])
    assert len(warnings()) == 1
    assert "SignalingMiddleware" in warnings()[0]
    caplog.clear()
    for signaling_app in (app, attach(FastAPI())):
        async with hosted(signaling_app):
            await signaling_app.signaling.rooms()
        await signaling_app.signaling.rooms()  # its end is no accident
    assert warnings() == []


@pytest.mark.promise("Hosts", "`rooms`, `peers`, `send`, `kick` and `close` do what they say")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_event_reaches_each_connection_of_a_user(transport: str) -> None:
    """By its verified id, in a room or not; nobody else hears it."""
    app = attach(FastAPI(), authenticate=lambda shown: {"user_id": int(shown.token or 0)})
    async with hosted(app) as url:
        async with (
            peers(url, "gate", None, transport=transport, auth={"token": "7"}) as (phone, tablet),
            peers(url, "gate", transport=transport, auth={"token": "8"}) as (other,),
        ):
            for user_id in (7, "7"):
                assert await app.signaling.send(user_id, "incident", {"id": user_id}) == 2
                for peer in (phone, tablet):
                    await peer.hears("incident", id=user_id)
            assert await app.signaling.send(8, "bare") == 1
            assert await other.hears("bare") == ()
            assert [event for event, _ in other.heard if event == "incident"] == []
            await phone.close()
            await other.hears("peer_disconnected")
            assert await app.signaling.send(7, "incident") == 1
        assert await app.signaling.send(7, "incident") == 0
        assert await app.signaling.send(99, "incident") == 0


async def test_without_authentication_a_user_is_who_a_peer_claims_to_be(app: Any) -> None:
    async with hosted(app) as url, peers(url, None) as (peer,):
        assert await app.signaling.send(7, "incident") == 0
        await peer.join("gate", userId=7)
        assert await app.signaling.send(7, "incident", [1, None]) == 1
        assert await peer.hears("incident") == [1, None]
        await peer.join("gate", userId=8)
        assert await app.signaling.send(7, "incident") == 0


@pytest.mark.parametrize(
    ("event", "data"),
    [("connect", 1), ("disconnect", None), ("ok", float("nan")), ("ok", b"binary"), ("ok", {1, 2})],
)
async def test_what_can_not_be_sent_is_refused(event: str, data: Any) -> None:
    with pytest.raises(ValueError, match=r"reserved|can't be sent"):
        await SignalingNamespace().send(7, event, data)


@pytest.mark.promise("Hosts", "`rooms`, `peers`, `send`, `kick` and `close` do what they say")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_kick_is_for_good(transport: str) -> None:
    app = attach(FastAPI())
    async with hosted(app) as url, peers(url, "gate", "gate", transport=transport) as (bad, good):
        kicked = bad.peer_id
        assert await app.signaling.kick(kicked) is True
        assert [each.peer_id for each in await app.signaling.peers("gate")] == [good.peer_id]
        assert (await good.hears("peer_disconnected"))["reason"] == "kicked"
        await bad.hears("disconnect")
        assert await app.signaling.kick(kicked) is False
        assert (await good.ask("signal", {"targetId": kicked, "signal": 1}))["error"][
            "code"
        ] == "peer_not_found"


async def test_a_kick_of_nobody_hits_nobody(app: Any) -> None:
    """Of an id that is gone, of none, of a room's name: python-engineio would take some of them for everybody."""
    async with hosted(app) as url, peers(url, "gate", "gate") as (stays, goes):
        gone = goes.peer_id
        await goes.close()
        await stays.hears("peer_disconnected", peerId=gone)
        for nobody in (gone, "", "gate", "*"):
            assert await app.signaling.kick(nobody) is False
        assert await stays.signal(stays, "still here") == {"ok": True}
