"""A host with a ``connect`` and a ``disconnect`` of its own beside ours: both run, and nobody is left over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import socketio

from hosts.ways import SERVERS
from support.servers import hosted
from support.stock import WITHIN, peers, refusal, web
from support.waiting import Arrivals, eventually
from walkie_signal import Member, attach


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    raise NotImplementedError


@pytest.fixture(params=[*SERVERS.values()], ids=[*SERVERS])
def sio(request: pytest.FixtureRequest) -> Any:
    return request.param()


class Log(list[str]):
    """What the host's handlers saw, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._arrivals = Arrivals(lambda: list(self))

    async def add(self, text: str) -> None:
        self.append(text)
        self._arrivals.grew()

    async def until(self, count: int) -> list[str]:
        await self._arrivals.until(lambda: len(self) >= count, f"{count} entries")
        return list(self)


@pytest.mark.promise("Hosts", "The host's `connect` and `disconnect` run, and so do ours")
@pytest.mark.parametrize("when", ["before", "after"])
async def test_both_run_the_hosts_connect_first_and_its_disconnect_last(sio: Any, when: str) -> None:
    log = Log()

    async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
        assert environ["asgi.scope"]["type"] in ("http", "websocket")
        await log.add(f"connect {sid} {auth or None} {len(await app.signaling.rooms())}")

    async def disconnect(sid: str, reason: str) -> None:
        left = [each.peer_id for each in await app.signaling.peers("gate")]
        assert reason in (sio.reason.CLIENT_DISCONNECT, sio.reason.TRANSPORT_CLOSE)
        await log.add(f"disconnect {sid}, still there: {sid in left}")

    if when == "before":
        sio.event(connect)
        sio.on("disconnect", disconnect)
    app = attach(nothing, sio=sio)
    if when == "after":
        sio.on("connect", connect)
        sio.event(disconnect)
    async with hosted(app) as url, peers(url, "gate") as (stays,):
        async with peers(url, "gate", auth={"n": 1}) as (goes,):
            gone = goes.peer_id
        await stays.hears("peer_disconnected", peerId=gone)
        seen = await log.until(3)
        assert seen == [
            f"connect {stays.peer_id} None 0",
            f"connect {gone} {{'n': 1}} 1",
            f"disconnect {gone}, still there: False",
        ]


async def no_auth(_sid: str, _environ: Any) -> None: ...


def sync_no_auth(_sid: str, _environ: Any) -> None: ...


async def with_auth(_sid: str, _environ: Any, _auth: Any) -> bool:
    return True


async def optional_auth(_sid: str, _environ: Any, _auth: Any = None) -> None: ...


async def legacy_disconnect(_sid: str) -> None: ...


def sync_disconnect(_sid: str) -> None: ...


async def new_disconnect(_sid: str, _reason: str) -> None: ...


@pytest.mark.parametrize(
    ("connect", "disconnect"),
    [
        (no_auth, legacy_disconnect),
        (sync_no_auth, sync_disconnect),
        (with_auth, new_disconnect),
        (optional_auth, new_disconnect),
    ],
)
async def test_signatures_of_every_age(
    sio: Any, connect: Callable[..., Any], disconnect: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    sio.on("connect", connect)
    sio.on("disconnect", disconnect)
    async with hosted(attach(nothing, sio=sio)) as url, peers(url, "gate", "gate") as (stays, goes):
        gone = goes.peer_id
        await goes.close()
        await stays.hears("peer_disconnected", peerId=gone)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def returns_false(_sid: str, _environ: Any) -> bool:
    return False


async def raises_refusal(_sid: str, _environ: Any) -> None:
    raise socketio.exceptions.ConnectionRefusedError("not on Sundays", {"day": "Sunday"})


async def raises_type_error(_sid: str, _environ: Any, _auth: Any) -> None:
    raise TypeError("a bug of the host's")


@pytest.mark.promise("Hosts", "The host's `connect` and `disconnect` run, and so do ours")
@pytest.mark.parametrize(
    ("connect", "said"),
    [
        (returns_false, None),
        (raises_refusal, {"message": "not on Sundays", "data": {"day": "Sunday"}}),
        (raises_type_error, {"code": "internal"}),
    ],
)
async def test_the_hosts_connect_may_refuse_and_then_ours_never_runs(
    sio: Any, connect: Callable[..., Any], said: Any
) -> None:
    asked: list[object] = []
    sio.on("connect", connect)
    app = attach(nothing, sio=sio, authenticate=asked.append)
    async with hosted(app) as url:
        refused = await refusal(url)
        if said is not None:
            assert said.items() <= {**refused, **(refused.get("data") or {})}.items(), refused
    assert asked == []


async def test_who_we_refuse_is_told_to_the_hosts_disconnect(sio: Any) -> None:
    """Its ``connect`` had let the peer in, so that it may have something to clean up."""
    log = Log()
    sio.on("connect", lambda sid, _environ: log.add(f"connect {sid}"))
    sio.on("disconnect", lambda sid, _reason: log.add(f"disconnect {sid}"))
    async with hosted(attach(nothing, sio=sio, authenticate=lambda _credentials: None)) as url:
        assert (await refusal(url))["data"]["code"] == "unauthorized"
        connected, disconnected = await log.until(2)
        assert connected.split()[1] == disconnected.split()[1]


async def test_a_disconnect_of_the_hosts_that_fails_leaves_nobody(
    sio: Any, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Log()

    async def disconnect(sid: str, _reason: str) -> None:
        await calls.add(sid)
        raise TypeError("a bug of the host's")

    sio.event(disconnect)
    app = attach(nothing, sio=sio)
    async with hosted(app) as url, peers(url, "gate", "gate") as (stays, goes):
        gone = goes.peer_id
        await goes.close()
        await stays.hears("peer_disconnected", peerId=gone)
        assert await calls.until(1) == [gone]
        assert "a bug of the host's" in caplog.text
        assert [each.peer_id for each in await app.signaling.peers("gate")] == [stays.peer_id]
        await stays.signal(stays, "the server serves on")
        assert not sio.manager.is_connected(gone, "/")
        assert calls == [gone]


async def test_a_peer_that_goes_while_the_hosts_connect_waits_is_no_ghost(sio: Any) -> None:
    entered, log = asyncio.Event(), Log()

    async def connect(_sid: str, environ: dict[str, Any]) -> None:
        gone = "goes" in environ["QUERY_STRING"]
        entered.set()
        if gone:
            # the server has no event for it but the one that is owed here
            await eventually(lambda: all(each is not environ for each in sio.environ.values()))
            await log.add("let in")

    async def joined_or_left(member: Member, *_reason: str) -> None:
        await log.add(member.peer_id)

    sio.event(connect)
    app = attach(nothing, sio=sio, on_join=joined_or_left, on_leave=joined_or_left)
    async with hosted(app) as url, web(url + "/socket.io/") as http:
        asked = {"EIO": "4", "transport": "polling", "goes": "1"}
        opened = await http.get("", params=asked)
        asked["sid"] = json.loads(opened.text[1:])["sid"]
        connecting = asyncio.create_task(
            http.post("", params=asked, content='40\x1e420["join_room",{"room":"gate"}]')
        )
        await asyncio.wait_for(entered.wait(), WITHIN)
        await http.post("", params=asked, content="1")
        await connecting
        assert await log.until(1) == ["let in"]
        async with peers(url, "gate") as (peer,):
            assert await log.until(2) == ["let in", peer.peer_id]
            assert [each.peer_id for each in await app.signaling.peers("gate")] == [peer.peer_id]
