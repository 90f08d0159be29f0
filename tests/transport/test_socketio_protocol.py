"""The official cases for Socket.IO 5 servers, all 32, on each ASGI server.

They are those of https://github.com/socketio/socket.io, docs/socket.io-protocol/v5-test-suite: its Engine.IO half
on the Socket.IO path, and Socket.IO's own, which run over polling too. Where a case ends in a close, pings are
answered here, so that a server that merely times out does not pass.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from support.raw import Raw, RawSocket, RefusedError, Session
from transport.official_app import CONNECT_TIMEOUT, INTERVAL, TIMEOUT
from transport.official_servers import COMMANDS, passing

VIOLATED = (1002, 400)
"""The code that a WebSocket is closed with for breaking the protocol, and the status of such a POST."""


@pytest.fixture
def client(socketio_client: Raw) -> Raw:
    return socketio_client


async def refused_websocket(client: Raw, query: str) -> int:
    with pytest.raises(RefusedError) as refusal:
        async with client.websocket(query):
            pass
    return refusal.value.status


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

    async def test_polling_fails_with_an_invalid_version(self, client: Raw) -> None:
        for query in ("transport=polling", "EIO=abc&transport=polling"):
            assert (await client.http.get(f"{client.url}?{query}")).status_code == 400, query

    async def test_polling_fails_with_an_invalid_transport(self, client: Raw) -> None:
        for query in ("EIO=4", "EIO=4&transport=abc"):
            assert (await client.http.get(f"{client.url}?{query}")).status_code == 400, query

    async def test_polling_fails_with_an_invalid_method(self, client: Raw) -> None:
        for method in ("POST", "PUT"):
            answer = await client.http.request(method, client.url, params=client.query())
            assert answer.status_code == 400, method

    async def test_opens_a_websocket_session(self, client: Raw) -> None:
        async with client.websocket() as socket:
            handshake = json.loads(str(await socket.receive())[1:])
            assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
            assert handshake["upgrades"] == []

    async def test_websocket_fails_with_an_invalid_version(self, client: Raw) -> None:
        for query in ("transport=websocket", "EIO=abc&transport=websocket"):
            assert await refused_websocket(client, query) == 403, query

    async def test_websocket_fails_with_an_invalid_transport(self, client: Raw) -> None:
        for query in ("EIO=4", "EIO=4&transport=abc"):
            assert await refused_websocket(client, query) == 403, query


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
        polled, posted = await asyncio.gather(
            client.get(sid), client.post(sid, "1")
        )  # whichever arrives first
        assert posted.status_code == 200
        assert (polled.status_code, polled.text) == (200, "6")
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
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            await socket.send("5")  # and the poll at once: nothing tells when it has taken over
            assert (await client.get(sid)).status_code == 400

    async def test_ignores_a_second_websocket_after_the_upgrade(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await upgraded(client, sid, socket)
            async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as second:
                assert await second.closed(1) == 1000
                assert second.seen == []


@pytest.fixture(params=["websocket", "polling"])
async def session(request: pytest.FixtureRequest, client: Raw) -> AsyncIterator[Session]:
    async with client.opened() if request.param == "websocket" else client.polling() as session:
        yield session


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
    async def test_joins_a_namespace(self, session: Session, packet: str, prefix: str, auth: str) -> None:
        await session.send(packet)
        answer = str(await session.message())
        assert answer.startswith(prefix)
        handshake = json.loads(answer.removeprefix(prefix))
        assert set(handshake) == {"sid"}
        assert isinstance(handshake["sid"], str)
        event = prefix.replace("40", "42") + '["auth",' + auth + "]"
        assert await session.message() == event

    async def test_refuses_an_unknown_namespace(self, session: Session) -> None:
        await session.send("40/random")
        assert await session.message() == '44/random,{"message":"Invalid namespace"}'

    async def test_refuses_an_invalid_handshake(self, session: Session) -> None:
        await session.send("4abc")
        assert await session.closed(CONNECT_TIMEOUT / 2) in VIOLATED

    async def test_closes_where_no_handshake_comes(self, session: Session) -> None:
        await session.closed(CONNECT_TIMEOUT + 1)


@pytest.fixture
async def joined(session: Session) -> Session:
    await session.send("40")
    assert str(await session.message()).startswith("40{")
    assert await session.message() == '42["auth",{}]'
    return session


class TestDisconnect:
    async def test_leaves_the_main_namespace(self, joined: Session) -> None:
        await joined.send("41")
        assert await joined.receive() == "2"

    async def test_joins_and_leaves_a_custom_namespace(self, joined: Session) -> None:
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
    async def test_sends_text(self, joined: Session, sent: str, answer: str) -> None:
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
    async def test_sends_attachments(self, joined: Session, sent: str, answer: str) -> None:
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
    async def test_closes_upon_an_invalid_packet(self, joined: Session, packet: str) -> None:
        await joined.send(packet)
        assert await joined.closed(1) in VIOLATED


@pytest.mark.promise(
    "The transport",
    "The official Engine.IO and Socket.IO cases pass on uvicorn, on two workers, on `serve` and its "
    "WebSocket class, on hypercorn and granian",
)
def test_these_are_the_cases_that_pass(request: pytest.FixtureRequest) -> None:
    """All 32, and those of them that are Socket.IO's own once more over polling."""
    assert passing(request.node) == dict.fromkeys(COMMANDS, 32 + 16)
