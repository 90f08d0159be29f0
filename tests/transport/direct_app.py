"""The app that the tests of the WebSocket protocol class run on uvicorn's own class and on ours.

What an endpoint saw is kept under the query's `id`, and told by GET /seen once its app has ended.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from transport.direct_sends import send_in_turn, send_together
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.direct import frames

# Each violation of many is to be seen
frames.lines = BoundedLog(logging.getLogger("walkie_signal.transport"), most=1000)

fastapi = FastAPI()
seen: dict[str, list[Any]] = defaultdict(list)
ended: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


@fastapi.get("/seen")
async def what_was_seen(id: str) -> Any:  # noqa: A002 - as it is called in the query
    try:
        await asyncio.wait_for(ended[id].wait(), 8)
    except asyncio.TimeoutError:
        return [*seen[id], "and goes on"]
    return seen[id]


@fastapi.get("/open")
async def how_many_are_open() -> Any:
    """Tell how many WebSockets the server has that are not yet gone."""
    return sum(
        1 for each in gc.get_objects() if isinstance(each, WebSocketsSansIOProtocol) and not each.disconnected
    )


@fastapi.get("/so-far")
async def what_is_seen_so_far(id: str) -> Any:  # noqa: A002
    return seen[id]


@fastapi.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while True:
        message = await ws.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") is not None:
            await ws.send_text(message["text"])
        else:
            await ws.send_bytes(message["bytes"])


@fastapi.websocket("/json")
async def json(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            await ws.send_json({"got": await ws.receive_json()})
    except WebSocketDisconnect as gone:
        seen[ws.query_params["id"]].append([gone.code, gone.reason])


@fastapi.websocket("/iterate")
async def iterate(ws: WebSocket) -> None:
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text.upper())
    seen[ws.query_params["id"]].append("the loop has ended")


@fastapi.websocket("/subprotocol")
async def subprotocol(ws: WebSocket) -> None:
    offered = ws.scope["subprotocols"]
    await ws.accept(
        subprotocol=offered[-1], headers=[(b"X-One", b"1"), (b"Set-Cookie", b"a=b"), (b"x-two", b"\xe9")]
    )
    await ws.send_json(offered)
    await ws.close()


@fastapi.websocket("/scope")
async def scope(ws: WebSocket) -> None:
    await ws.accept()
    told = {name: ws.scope[name] for name in ("type", "asgi", "http_version", "scheme", "root_path", "path")}
    told["query"] = ws.scope["query_string"].decode()
    told["raw_path"] = ws.scope["raw_path"].decode()
    here = ":".join(map(str, ws.scope["server"]))  # what two servers do not have in common
    told["headers"] = [
        (name.decode(), value.decode("latin-1").replace(here, "here")) for name, value in ws.scope["headers"]
    ]
    told["response_extension"] = ws.scope["extensions"]["websocket.http.response"]
    await ws.send_json(told)
    await ws.close(4321, "told")


@fastapi.websocket("/close/{code}")
async def close(ws: WebSocket, code: int, reason: str | None = None) -> None:
    await ws.accept()
    await ws.close(code, reason)


@fastapi.websocket("/close-and-send")
async def close_and_send(ws: WebSocket) -> None:
    await ws.accept()
    await ws.close()
    await ws.send_text("after")


@fastapi.websocket("/refuse")
async def refuse(ws: WebSocket) -> None:
    await ws.close(4000, "unheard")


@fastapi.websocket("/refuse-with")
async def refuse_with(ws: WebSocket) -> None:
    await ws.send_denial_response(JSONResponse({"why": "not you"}, 401, {"X-Why": "none"}))


@fastapi.websocket("/refuse-by-exception")
async def refuse_by_exception(ws: WebSocket) -> None:
    raise HTTPException(418, "teapot")


@fastapi.websocket("/raise-before")
async def raise_before(ws: WebSocket) -> None:
    raise ValueError("before")


@fastapi.websocket("/raise")
async def raise_(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive_text()
    raise ValueError("after")


@fastapi.websocket("/return")
async def return_(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text("bye")


@fastapi.websocket("/return-before")
async def return_before(ws: WebSocket) -> None: ...


@fastapi.websocket("/twice")
async def twice(ws: WebSocket) -> None:
    await ws.accept()
    try:
        await ws._send({"type": "websocket.accept"})
    except RuntimeError as error:
        await ws.send_text(str(error))
    await ws.close()


@fastapi.websocket("/flood")
async def flood(ws: WebSocket, count: int, size: int) -> None:
    """Send `count` messages, and tell how many went before the client was known to be gone."""
    await ws.accept()
    try:
        for number in range(count):
            await ws.send_bytes(number.to_bytes(4, "big") * (size // 4))
            seen[ws.query_params["id"]] = [number + 1]
    except WebSocketDisconnect:
        seen[ws.query_params["id"]].append("gone")


@fastapi.websocket("/slow")
async def slow(ws: WebSocket) -> None:
    """Receive nothing until told to by GET /go, and then tell the sizes of what came."""
    await ws.accept()
    await going[ws.query_params["id"]].wait()
    sizes = []
    async for data in ws.iter_bytes():
        sizes.append(len(data))
        if len(sizes) == int(ws.query_params["count"]):
            await ws.send_json(sizes)


going: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


@fastapi.get("/go")
async def go(id: str) -> Any:  # noqa: A002
    going[id].set()
    return PlainTextResponse("gone")


@fastapi.websocket("/late")
async def late(ws: WebSocket) -> None:
    """Accept when told to by GET /go, and echo."""
    await going[ws.query_params["id"]].wait()
    await echo(ws)


@fastapi.websocket("/pending")
async def pending(ws: WebSocket) -> None:
    """Never accept."""
    seen[ws.query_params["id"]].append("here")
    await ws.receive()
    await ws.receive()


async def direct_echo(scope: Any, receive: Any, send: Any) -> None:
    """Echo by direct frames; the text that is a command does as it says."""
    await receive()
    await send({"type": "websocket.accept"})
    direct = scope["extensions"]["walkie_signal.direct"]
    told = seen[scope["query_string"].decode().partition("=")[2]]
    assert direct.carries(send)

    def on_text(text: str) -> None:
        command, _, argument = text.partition(" ")
        if command == "close":
            direct.close(int(argument), "as told")
            direct.send("after")
            direct.send_all(["after"])
        elif command == "abort":
            direct.abort()
            direct.send("after")
            direct.send_all(["after"])
        elif command == "raise":
            raise ValueError("as told")
        elif command == "burst":
            send_in_turn(direct, *map(int, argument.split()))
        elif command == "all":
            send_together(direct, *map(int, argument.split()))
        elif command == "flood":
            for _ in range(int(argument)):
                direct.send(b"x" * 10_000)
            told.append(["waiting", direct.waiting > 0])
        else:
            direct.send(text)

    if scope["path"] == "/direct-late":
        await going[scope["query_string"].decode().partition("=")[2]].wait()
    direct.start(on_text, direct.send, lambda paused: told.append(["paused", paused]))
    event = await receive()
    told.append([event["type"], event["code"], event.get("reason")])
    direct.send("nobody hears this")
    direct.close()


async def wrapped(scope: Any, receive: Any, send: Any) -> None:
    """See whether the extension knows that its `send` is not the server's own."""

    async def counted(message: Any) -> None:
        await send(message)

    await receive()
    direct = scope["extensions"]["walkie_signal.direct"]
    early = "no error"
    try:
        direct.start(print, print)
    except RuntimeError as error:
        early = str(error)
    await send({"type": "websocket.accept"})
    told = f"{direct.carries(send)} {direct.carries(counted)} {early}"
    await send({"type": "websocket.send", "text": told})
    await send({"type": "websocket.close", "code": 1000})


DIRECT: dict[str, Callable[..., Awaitable[None]]] = {
    "/direct": direct_echo,
    "/direct-late": direct_echo,
    "/wrapped": wrapped,
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Route, and note what each WebSocket's app was told of its end."""
    query = scope.get("query_string", b"").decode()
    name = query.partition("id=")[2].partition("&")[0]
    if scope["type"] != "websocket":
        await fastapi(scope, receive, send)
        return

    async def noting() -> Any:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            seen[name].append([event["code"], event.get("reason")])
        return event

    try:
        endpoint = DIRECT.get(scope["path"])
        if endpoint is not None:
            await endpoint(scope, receive, send)
        else:
            await fastapi(scope, noting, send)
    except BaseException as error:
        seen[name].append(type(error).__name__)
        raise
    finally:
        ended[name].set()


def impatient() -> Any:
    """Make the app, with a server that waits a second for what a closed connection has still to take."""

    from walkie_signal.direct import closing  # noqa: PLC0415 - the reference runs without it

    closing.CLOSE_TIMEOUT = 1.0
    return app
