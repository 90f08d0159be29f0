"""The official cases for Socket.IO 5 servers, all 32, on plain uvicorn.

They are those of https://github.com/socketio/socket.io, docs/socket.io-protocol/v5-test-suite: its Engine.IO half
on the Socket.IO path, and Socket.IO's own, for the server that it asks for. Where a case ends in a close, pings are
answered here, so that a server that merely times out does not pass.
"""

# python-socketio and python-engineio have no types
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio
from websockets.exceptions import InvalidStatus

from support.servers import hosted
from transport.raw import Raw, RawSocket, raw
from walkie_signal.transport import create_server

pytestmark = pytest.mark.usefixtures("_each_websocket_class")

INTERVAL, TIMEOUT, CONNECT_TIMEOUT = 0.3, 0.2, 1.0


@pytest.fixture
async def client() -> AsyncIterator[Raw]:
    sio = create_server(
        ping_interval=INTERVAL,
        ping_timeout=TIMEOUT,
        connect_timeout=CONNECT_TIMEOUT,
        cors_allowed_origins="*",
    )
    for namespace in ("/", "/custom"):

        @sio.on("connect", namespace=namespace)
        async def connect(sid: str, environ: dict[str, Any], auth: Any, namespace: str = namespace) -> None:
            await sio.emit("auth", auth or {}, to=sid, namespace=namespace)

    @sio.on("message")
    async def message(sid: str, *arguments: Any) -> None:
        await sio.emit("message-back", arguments, to=sid)

    @sio.on("message-with-ack")
    async def message_with_ack(sid: str, *arguments: Any) -> Any:
        return arguments

    async with hosted(socketio.ASGIApp(sio)) as url, raw(f"{url}/socket.io/") as client:
        yield client


async def refused_websocket(client: Raw, query: str) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with client.websocket(query):
            pass
    return refusal.value.response.status_code


async def upgraded(client: Raw, sid: str, socket: RawSocket) -> None:
    """Take a polling session over; returns when the server has taken note."""
    await socket.send("2probe")
    assert await socket.receive() == "3probe"
    await socket.send("5", "40")
    assert str(await socket.message()).startswith("40{")


class TestHandshake:
    async def test_opens_a_polling_session(self, client: Raw) -> None:
        handshake = await client.open()
        assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert isinstance(handshake.pop("sid"), str)
        assert handshake == {
            "upgrades": ["websocket"],
            "pingInterval": 300,
            "pingTimeout": 200,
            "maxPayload": 1_000_000,
        }

    @pytest.mark.parametrize("query", ["transport=polling", "EIO=abc&transport=polling"])
    async def test_polling_fails_with_an_invalid_version(self, client: Raw, query: str) -> None:
        assert (await client.http.get(f"{client.url}?{query}")).status_code == 400

    @pytest.mark.parametrize("query", ["EIO=4", "EIO=4&transport=abc"])
    async def test_polling_fails_with_an_invalid_transport(self, client: Raw, query: str) -> None:
        assert (await client.http.get(f"{client.url}?{query}")).status_code == 400

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    async def test_polling_fails_with_an_invalid_method(self, client: Raw, method: str) -> None:
        assert (await client.http.request(method, client.url, params=client.query())).status_code == 400

    async def test_opens_a_websocket_session(self, client: Raw) -> None:
        async with client.websocket() as socket:
            handshake = json.loads(str(await socket.receive())[1:])
            assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
            assert handshake["upgrades"] == []

    @pytest.mark.parametrize("query", ["transport=websocket", "EIO=abc&transport=websocket"])
    async def test_websocket_fails_with_an_invalid_version(self, client: Raw, query: str) -> None:
        assert await refused_websocket(client, query) == 403

    @pytest.mark.parametrize("query", ["EIO=4", "EIO=4&transport=abc"])
    async def test_websocket_fails_with_an_invalid_transport(self, client: Raw, query: str) -> None:
        assert await refused_websocket(client, query) == 403


class TestHeartbeat:
    async def test_pings_over_polling(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        for _ in range(3):
            polled = await client.get(sid)
            assert (polled.status_code, polled.text) == (200, "2")
            assert (await client.post(sid, "3")).status_code == 200

    async def test_times_out_over_polling(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        await asyncio.sleep(INTERVAL + TIMEOUT)  # the time that the case names
        assert (await client.get(sid)).status_code == 400

    async def test_pings_over_websocket(self, client: Raw) -> None:
        async with client.opened() as socket:
            for _ in range(3):
                assert await socket.receive() == "2"
                await socket.send("3")

    async def test_times_out_over_websocket(self, client: Raw) -> None:
        async with client.opened() as socket:
            await socket.closed(CONNECT_TIMEOUT * 0.9, ponging=False)


class TestClose:
    async def test_closes_a_polling_session(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        poll = asyncio.create_task(client.get(sid))
        await asyncio.sleep(0.05)  # nothing tells that a poll has arrived and waits
        assert (await client.post(sid, "1")).status_code == 200
        assert ((await poll).status_code, (await poll).text) == (200, "6")
        assert (await client.get(sid)).status_code == 400

    async def test_closes_a_websocket_session(self, client: Raw) -> None:
        async with client.opened() as socket:
            await socket.send("1")
            await socket.closed(CONNECT_TIMEOUT / 2)


class TestUpgrade:
    async def test_upgrades(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(client, sid, socket)

    async def test_ignores_requests_after_the_upgrade(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(client, sid, socket)
            assert (await client.get(sid)).status_code == 400

    async def test_ignores_a_second_websocket_after_the_upgrade(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(client, sid, socket)
            assert await refused_websocket(client, f"EIO=4&transport=websocket&sid={sid}") == 403


class TestConnect:
    @pytest.mark.parametrize(
        ("packet", "prefix", "auth"),
        [
            ("40", "40", "{}"),
            ('40{"token":"123"}', "40", '{"token":"123"}'),
            ("40/custom,", "40/custom,", "{}"),
            ('40/custom,{"token":"abc"}', "40/custom,", '{"token":"abc"}'),
        ],
        ids=["main", "main with a payload", "custom", "custom with a payload"],
    )
    async def test_joins_a_namespace(self, client: Raw, packet: str, prefix: str, auth: str) -> None:
        async with client.opened() as socket:
            await socket.send(packet)
            answer = str(await socket.message())
            assert answer.startswith(prefix)
            handshake = json.loads(answer.removeprefix(prefix))
            assert set(handshake) == {"sid"}
            assert isinstance(handshake["sid"], str)
            event = prefix.replace("40", "42") + '["auth",' + auth + "]"
            assert await socket.message() == event

    async def test_refuses_an_unknown_namespace(self, client: Raw) -> None:
        async with client.opened() as socket:
            await socket.send("40/random")
            assert await socket.message() == '44/random,{"message":"Invalid namespace"}'

    async def test_refuses_an_invalid_handshake(self, client: Raw) -> None:
        async with client.opened() as socket:
            await socket.send("4abc")
            assert await socket.closed(CONNECT_TIMEOUT / 2) == 1002

    async def test_closes_where_no_handshake_comes(self, client: Raw) -> None:
        async with client.opened() as socket:
            await socket.closed(CONNECT_TIMEOUT + 1)


@pytest.fixture
async def joined(client: Raw) -> AsyncIterator[RawSocket]:
    async with client.joined() as socket:
        assert await socket.message() == '42["auth",{}]'
        yield socket


class TestDisconnect:
    async def test_leaves_the_main_namespace(self, joined: RawSocket) -> None:
        await joined.send("41")
        assert await joined.receive() == "2"

    async def test_joins_and_leaves_a_custom_namespace(self, joined: RawSocket) -> None:
        await joined.send("40/custom")
        assert str(await joined.message()).startswith("40/custom,{")
        assert await joined.message() == '42/custom,["auth",{}]'
        await joined.send("41/custom", '42["message","message to main namespace"]')
        assert await joined.message() == '42["message-back","message to main namespace"]'


class TestMessage:
    @pytest.mark.parametrize(
        ("sent", "answer"),
        [
            ('42["message",1,"2",{"3":[true]}]', '42["message-back",1,"2",{"3":[true]}]'),
            ('42456["message-with-ack",1,"2",{"3":[false]}]', '43456[1,"2",{"3":[false]}]'),
        ],
        ids=["plain", "plain with an ack"],
    )
    async def test_sends_text(self, joined: RawSocket, sent: str, answer: str) -> None:
        await joined.send(sent)
        assert await joined.message() == answer

    @pytest.mark.parametrize(
        ("sent", "answer"),
        [
            ('452-["message",{},{}]', '452-["message-back",{},{}]'),
            ('452-789["message-with-ack",{},{}]', "462-789[{},{}]"),
        ],
        ids=["binary", "binary with an ack"],
    )
    async def test_sends_attachments(self, joined: RawSocket, sent: str, answer: str) -> None:
        places = ['{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":1}']

        def filled(text: str) -> str:
            return text.replace("{}", places[0], 1).replace("{}", places[1], 1)

        await joined.send(filled(sent), b"\x01\x02\x03", b"\x04\x05\x06")
        received = [await joined.message() for _ in range(3)]
        assert received == [filled(answer), b"\x01\x02\x03", b"\x04\x05\x06"]

    @pytest.mark.parametrize(
        "packet",
        ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]'],
        ids=["unknown packet type", "invalid payload", "invalid ack id"],
    )
    async def test_closes_upon_an_invalid_packet(self, joined: RawSocket, packet: str) -> None:
        await joined.send(packet)
        assert await joined.closed(1) == 1002
