"""The official cases for Engine.IO 4 servers, all 25, on each ASGI server.

They are those of https://github.com/socketio/socket.io, docs/engine.io-protocol/v4-test-suite. Where a case ends in
a close, pings are answered here, so that a server that merely times out does not pass.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from support.raw import Raw, RefusedError
from transport.official_app import INTERVAL, TIMEOUT
from transport.official_servers import COMMANDS, passing


@pytest.fixture
def client(engineio_client: Raw) -> Raw:
    return engineio_client


def check_handshake(handshake: dict[str, Any], upgrades: list[str]) -> None:
    assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert isinstance(handshake["sid"], str)
    assert handshake["upgrades"] == upgrades
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
    assert handshake["maxPayload"] == 1_000_000


async def refused_websocket(client: Raw, query: str) -> int:
    with pytest.raises(RefusedError) as refusal:
        async with client.websocket(query):
            pass
    return refusal.value.status


class TestHandshakePolling:
    async def test_opens_a_session(self, client: Raw) -> None:
        check_handshake(await client.open(), ["websocket"])

    async def test_fails_with_an_invalid_version(self, client: Raw) -> None:
        for query in ("transport=polling", "EIO=abc&transport=polling"):
            assert (await client.http.get(f"{client.url}?{query}")).status_code == 400, query

    async def test_fails_with_an_invalid_transport(self, client: Raw) -> None:
        for query in ("EIO=4", "EIO=4&transport=abc"):
            assert (await client.http.get(f"{client.url}?{query}")).status_code == 400, query

    async def test_fails_with_an_invalid_method(self, client: Raw) -> None:
        for method in ("POST", "PUT"):
            answer = await client.http.request(method, client.url, params=client.query())
            assert answer.status_code == 400, method


class TestHandshakeWebSocket:
    async def test_opens_a_session(self, client: Raw) -> None:
        async with client.websocket() as socket:
            frame = str(await socket.receive())
            assert frame.startswith("0")
            check_handshake(json.loads(frame[1:]), [])

    async def test_fails_with_an_invalid_version(self, client: Raw) -> None:
        for query in ("transport=websocket", "EIO=abc&transport=websocket"):
            assert await refused_websocket(client, query) == 403, query

    async def test_fails_with_an_invalid_transport(self, client: Raw) -> None:
        for query in ("EIO=4", "EIO=4&transport=abc"):
            assert await refused_websocket(client, query) == 403, query


class TestMessagePolling:
    @pytest.mark.parametrize(
        "payload",
        ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="],
        ids=["one", "several", "text and binary"],
    )
    async def test_sends_and_receives(self, client: Raw, payload: str) -> None:
        sid = (await client.open())["sid"]
        pushed = await client.post(sid, payload)
        assert (pushed.status_code, pushed.text) == (200, "ok")
        polled = await client.get(sid)
        assert (polled.status_code, polled.text) == (200, payload)

    async def test_closes_upon_an_invalid_packet(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        assert (await client.post(sid, "abc")).status_code == 400
        assert (await client.get(sid)).status_code == 400

    async def test_closes_upon_a_duplicate_poll(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        first = asyncio.create_task(client.get(sid))
        await asyncio.sleep(0.05)  # nothing tells that a poll has arrived and waits
        second = await client.get(sid)
        assert second.status_code == 400
        assert ((await first).status_code, (await first).text) == (200, "1")
        assert (await client.get(sid)).status_code == 400

    async def test_closes_upon_a_cancelled_poll(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        with pytest.raises(httpx.ReadTimeout):
            await client.get(sid, within=0.05)
        assert (await client.get(sid)).status_code == 400


class TestMessageWebSocket:
    @pytest.mark.parametrize("frame", ["4hello", b"\x01\x02\x03\x04"], ids=["text", "binary"])
    async def test_sends_and_receives(self, client: Raw, frame: str | bytes) -> None:
        async with client.opened() as socket:
            await socket.send(frame)
            assert await socket.receive() == frame

    async def test_closes_upon_an_invalid_packet(self, client: Raw) -> None:
        async with client.opened() as socket:
            await socket.send("abc")
            assert await socket.closed(1) == 1002
            assert socket.seen[1:] == []


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
            await socket.closed(2, ponging=False)


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
            await socket.closed(1)
            assert socket.seen[1:] == []


class TestUpgrade:
    async def test_upgrades(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            polled = await client.get(sid)
            assert (polled.status_code, polled.text) == (200, "6")
            await socket.send("5", "4hello")
            assert await socket.message() == "4hello"

    async def test_ignores_requests_after_the_upgrade(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            await socket.send("5")  # and the poll at once: nothing tells when it has taken over
            assert (await client.get(sid)).status_code == 400
            await socket.send("4hello")
            assert await socket.message() == "4hello"

    async def test_ignores_a_second_websocket_after_the_upgrade(self, client: Raw) -> None:
        sid = (await client.open())["sid"]
        async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            await socket.send("5", "4there")
            assert await socket.message() == "4there"
            async with client.websocket(f"EIO=4&transport=websocket&sid={sid}") as second:
                assert await second.closed(1) == 1000
                assert second.seen == []
            await socket.send("4hello")
            assert await socket.message() == "4hello"


@pytest.mark.promise(
    "The transport",
    "The official Engine.IO and Socket.IO cases pass on uvicorn, on two workers, on `serve` and its "
    "WebSocket class, on hypercorn and granian",
)
def test_these_are_the_cases_that_pass(request: pytest.FixtureRequest) -> None:
    assert passing(request.node) == dict.fromkeys(COMMANDS, 25)
