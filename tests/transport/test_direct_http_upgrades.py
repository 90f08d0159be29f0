"""Requests that ask for an upgrade that there is not, or before its turn: nothing of one is taken for another."""

from __future__ import annotations

from typing import Any

import pytest

from support.heads import UPGRADE, head
from transport.http_app import App, calling
from walkie_signal.direct.protocol import DirectProtocol

H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
HIDDEN = head("/hidden")
SIZE = f"Content-Length: {len(HIDDEN)}"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
BODIES = {
    "a length": head("/read", *H2C, SIZE, method="POST") + HIDDEN,
    "chunks": head("/read", *H2C, "Transfer-Encoding: chunked", method="POST") + CHUNK,
}


@pytest.mark.promise(
    "The command",
    "The body of a request that asks for an upgrade that there is not, such as h2c, is its body and not "
    "the next request; a WebSocket waits for the answer before it, and has no body; CONNECT is refused",
)
@pytest.mark.parametrize("size", [1 << 16, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("body", BODIES)
async def test_the_body_of_a_request_that_asks_for_another_upgrade_is_no_request(
    body: str, size: int, app: App, protocol: Any
) -> None:
    data = BODIES[body]
    async with calling(app, protocol, ws=DirectProtocol) as client:
        await client.send(data, chop=size)
        assert await client.answer() == (200, b"ok")
        await client.send(head("/next", *H2C) + head("/last"))
        for _ in range(2):
            assert await client.answer() == (200, b"ok")
    assert app.heard == ["/read", "/next", "/last"]
    assert app.bodies == [HIDDEN]


BEFORE = {
    "a request": head("/first"),
    "a body": head("/read", "Content-Length: 5", method="POST") + b"hello",
}


@pytest.mark.promise(
    "The command",
    "The body of a request that asks for an upgrade that there is not, such as h2c, is its body and not "
    "the next request; a WebSocket waits for the answer before it, and has no body; CONNECT is refused",
)
@pytest.mark.parametrize("before", BEFORE)
async def test_a_websocket_waits_until_the_request_before_it_is_answered(
    before: str, app: App, protocol: Any
) -> None:
    app.may_answer.clear()
    async with calling(app, protocol, ws=DirectProtocol) as client:
        await client.send(BEFORE[before] + head("/ws", *UPGRADE))
        await app.begun.wait()
        app.may_answer.set()
        assert await client.answer() == (200, b"ok")
        assert (await client.answer())[0] == 101


@pytest.mark.promise(
    "The command",
    "The body of a request that asks for an upgrade that there is not, such as h2c, is its body and not "
    "the next request; a WebSocket waits for the answer before it, and has no body; CONNECT is refused",
)
@pytest.mark.parametrize("lines", [("Content-Length: 5",), ("Transfer-Encoding: chunked",)], ids=str)
async def test_a_request_for_a_websocket_has_no_body(lines: tuple[str, ...], app: App, protocol: Any) -> None:
    async with calling(app, protocol, ws=DirectProtocol) as client:
        await client.send(head("/ws", *UPGRADE, *lines))
        assert (await client.answer())[0] == 400
        await client.rest()


@pytest.mark.promise(
    "The command",
    "The body of a request that asks for an upgrade that there is not, such as h2c, is its body and not "
    "the next request; a WebSocket waits for the answer before it, and has no body; CONNECT is refused",
)
async def test_connect_is_refused_without_a_traceback(
    app: App, protocol: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with calling(app, protocol, ws=DirectProtocol) as client:
        await client.send(head("a:80", method="CONNECT"))
        assert (await client.answer())[0] == 400
        await client.rest()
    assert app.heard == []
    assert not [each for each in caplog.records if each.exc_info]
