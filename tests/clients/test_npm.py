"""Stock npm ``socket.io-client`` peers: calls, reconnection by themselves, bursts, and who is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from fastapi import FastAPI

from support.node import Transports, script
from support.servers import hosted, serve
from walkie_signal import attach
from walkie_signal.transport import create_server

pytestmark = pytest.mark.node

TRANSPORTS = get_args(Transports)
CURRENT, OLDER, TOO_OLD = "socket.io-client", "socket.io-client-3", "socket.io-client-2"
EACH = pytest.mark.parametrize(
    ("runtime", "library"),
    [("node", CURRENT), ("node", OLDER), ("bun", CURRENT)],
    ids=["npm 4", "npm 3", "bun"],
)


@pytest.mark.promise(
    "The Node server's clients",
    "npm clients 4 and 3 on Node.js, and 4 on Bun, call, lose the connection and come back; npm client 2 "
    "is refused at once",
)
@EACH
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_peers_call_and_come_back_by_themselves(
    transports: Transports, library: str, runtime: str
) -> None:
    async with serve() as serving:
        told = await script("call.js", serving.url, transports, library, runtime=runtime)
    (ann,), (gone, bob) = told["ann"], told["bob"]
    assert [join["peerId"] for join in told["joins"]] == [ann, gone, bob]
    for join in told["joins"][1:]:
        assert {"peerId": ann, "role": "guard", "polite": join["peerId"] > ann} in join["peers"]
    assert [(call["from"], call["to"]) for call in told["calls"]] == [(ann, gone), (ann, bob), (bob, ann)]
    for call in told["calls"]:
        sent = [{"type": "offer"}, {"candidate": 1}, {"candidate": 2}, {"candidate": 3}]
        assert call["acks"] == [{"ok": True}] * 5
        assert call["heard"] == [
            *({"fromId": call["from"], "signal": signal} for signal in sent),
            {"fromId": call["to"], "signal": {"type": "answer"}},
        ]
    assert [state for state, *_ in told["states"]["ann"]] == ["connect"]
    assert [state for state, *_ in told["states"]["bob"]] == ["connect", "disconnect", "connect"]


@pytest.mark.promise(
    "The Node server's clients",
    "npm clients 4 and 3 on Node.js, and 4 on Bun, call, lose the connection and come back; npm client 2 "
    "is refused at once",
)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_an_older_protocol_is_refused_at_once(transport: Transports) -> None:
    async with serve() as serving:
        told = await script("refused.js", serving.url, transport, TOO_OLD, within=10)
    assert told["event"] == "connect_error", told
    assert told["afterMs"] < 1000, told


@pytest.mark.promise("The Node server's clients", "A burst of candidates over polling arrives whole")
@EACH
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_a_burst_of_candidates_arrives_whole_and_in_order(
    transports: Transports, library: str, runtime: str
) -> None:
    async with serve() as serving:
        told = await script("burst.js", serving.url, transports, "20", library, runtime=runtime)
    assert told["arrived"] == list(range(20))
    assert told["states"] == [["connect"], ["connect"]]


@pytest.mark.promise(
    "The transport",
    "A CONNECT that repeats an unanswered one is ignored; any other begins anew, with its own auth; other "
    "namespaces are not disturbed",
)
@pytest.mark.usefixtures("_each_websocket_class")
@pytest.mark.parametrize("library", [CURRENT, OLDER])
@pytest.mark.parametrize("transports", TRANSPORTS)
async def test_a_page_that_mounts_twice_in_one_tick_is_let_in(transports: Transports, library: str) -> None:
    """It sends two CONNECTs; with Node's server both are answered, and a close would hit its other namespaces."""
    sio = create_server()
    sio.on("connect", lambda *_: None, namespace="/page")
    sio.on("echo", _echo, namespace="/page")
    async with hosted(attach(FastAPI(), sio=sio)) as url:
        told = await script("remount.js", url, transports, library)
    assert told["answered"] == 7
    assert {*told["states"]} == {"connect"}  # or twice, where the second came when the first was answered
    assert told["other"] == [["connect"]]


async def _echo(sid: str, value: Any) -> Any:
    return value
