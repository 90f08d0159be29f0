"""A WebSocket subprotocol that a client asks for, on each ASGI server: the first is confirmed, as on Node.

A client that asked for some and gets none confirmed has to fail the connection (RFC 6455, 4.1), and so browsers do.
"""

from __future__ import annotations

import pytest

from support.raw import Raw

ASKED: dict[str, list[str] | None] = {"none": None, "one": ["walkie.1"], "several": ["b", "a", "walkie.1"]}


@pytest.mark.promise(
    "The transport", "The first WebSocket subprotocol that a client asks for is confirmed, on each server"
)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_the_first_is_confirmed_to_a_new_session(engineio_client: Raw, asked: list[str] | None) -> None:
    async with engineio_client.websocket(subprotocols=asked) as socket:
        assert socket.subprotocol == (asked[0] if asked else None)
        assert str(await socket.receive()).startswith("0{")
        await socket.send("4hello")
        assert await socket.message() == "4hello"


@pytest.mark.promise(
    "The transport", "The first WebSocket subprotocol that a client asks for is confirmed, on each server"
)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_the_first_is_confirmed_to_an_upgrade_and_to_a_second_one(
    engineio_client: Raw, asked: list[str] | None
) -> None:
    sid = (await engineio_client.open())["sid"]
    query = f"EIO=4&transport=websocket&sid={sid}"
    async with engineio_client.websocket(query, subprotocols=asked) as socket:
        assert socket.subprotocol == (asked[0] if asked else None)
        async with engineio_client.websocket(query, subprotocols=asked) as second:
            assert second.subprotocol == socket.subprotocol
            assert await second.closed(1) == 1000
        await socket.send("2probe")
        assert await socket.receive() == "3probe"
        await socket.send("5", "4hello")
        assert await socket.message() == "4hello"
