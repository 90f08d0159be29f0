"""How a request that was handed over ends, and a second WebSocket for a session that has one at another worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.raw import RawSocket
from transport.serving import nothing_left, poll_waits
from transport.workers import temporary_folder, workers  # noqa: F401 - a fixture
from walkie_signal.transport.workers import folder as sockets
from walkie_signal.transport.workers import pipes
from walkie_signal.transport.workers.hand_over import READY

pytestmark = pytest.mark.usefixtures("folder")
on_each_websocket_class = pytest.mark.usefixtures("_each_websocket_class")

UNKNOWN = (400, {"code": 1, "message": "Session ID unknown"})


async def upgraded(socket: RawSocket) -> None:
    """Take over, and wait until that has happened."""
    await socket.send("2probe")
    assert await socket.receive() == "3probe"
    await socket.send("5", '421["echo"]')
    assert await socket.message() == "431[]"


@pytest.mark.promise(
    "Many nodes",
    "A peer whose WebSocket another worker carries is told before it is closed, whichever worker ends; its "
    "polls go on",
)
@on_each_websocket_class
@pytest.mark.parametrize("last", [['42["last"]'], []], ids=["a last word", "nothing to say"])
async def test_a_worker_that_is_to_end_hands_a_websocket_back_to_be_closed_in_order(last: list[str]) -> None:
    async with workers() as pair:
        for frame in last:
            pair.sio.connections.before_parting(
                "/",
                lambda sid, frame=frame: pair.sio.connections.link(
                    pair.sio.manager.eio_sid_from_sid(sid, "/"), "/"
                ).send(frame),
            )
        sid = await pair.owner.joined_polling()
        async with (
            pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as socket,
            pair.owner.joined() as bystander,
        ):
            await upgraded(socket)
            pair.other_sio.connections.hand_back()
            await asyncio.wait_for(pair.other_sio.eio.hand_over.handed_back(), 1)
            assert await socket.closed(1) == 1012
            assert socket.seen == ["3probe", "431[]", *last]
            assert pair.reasons == ["transport close"]
            await bystander.send('421["echo"]')
            assert await bystander.message() == "431[]"
        await nothing_left(pair.sio)


@pytest.mark.promise(
    "Many nodes",
    "A peer whose WebSocket another worker carries is told before it is closed, whichever worker ends; its "
    "polls go on",
)
async def test_a_worker_that_is_to_end_hands_polls_back_and_their_sessions_live_on() -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        poll = asyncio.create_task(pair.other.get(sid))
        await poll_waits(pair.sio, sid)
        pair.other_sio.connections.hand_back()
        assert (await poll).text == "6"
        await pair.owner.post(sid, '421["echo"]')
        assert (await pair.owner.get(sid)).text == "431[]"
        async with pair.other.websocket(f"EIO=4&transport=websocket&sid={sid}") as probing:
            await probing.send("2probe")
            assert await probing.receive() == "3probe"
            pair.other_sio.connections.hand_back()
            assert await probing.closed(1) == 1000
        await pair.owner.post(sid, '422["echo"]')
        assert (await pair.owner.get(sid)).text == "432[]"


async def test_a_poll_of_a_worker_that_ends_as_well_waits_for_its_close() -> None:
    """Answered with nothing, its peer would come back when nobody listens any more."""
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        poll = asyncio.create_task(pair.other.get(sid))
        await poll_waits(pair.sio, sid)
        pair.sio.connections.hand_back()
        pair.other_sio.connections.hand_back()
        assert (await pair.owner.get("unknown")).status_code == 400  # a request later it has arrived
        await pair.sio.shutdown()
        assert (await poll).text == "1"


@pytest.mark.promise(
    "The transport",
    "An upgrade that fails leaves polling as it was, a second WebSocket is opened and closed, and polls "
    "stay few",
)
@on_each_websocket_class
@pytest.mark.parametrize("probing", [False, True], ids=["upgraded", "probing"])
async def test_a_second_websocket_at_either_worker_is_opened_and_closed(*, probing: bool) -> None:
    async with workers() as pair:
        sid = await pair.owner.joined_polling()
        query = f"EIO=4&transport=websocket&sid={sid}"
        async with pair.other.websocket(query) as first:
            if probing:
                await first.send("2probe")
                assert await first.receive() == "3probe"
            else:
                await upgraded(first)
            for worker in (pair.owner, pair.other):
                async with worker.websocket(query) as second:
                    assert await second.closed(1) == 1000
                    assert second.seen == []
            await first.send(*(["5"] if probing else []), '422["echo"]')
            assert await first.message() == "432[]"


@pytest.mark.promise(
    "The transport", "Every HTTP request that returns has sent a whole response, whatever way it ends"
)
async def test_an_answer_that_breaks_off_at_its_worker_is_none_at_all(folder: Path) -> None:
    """A web server that has been given half of one can only cut the connection, and logs a fault of ours."""
    tag = "A" * 8

    async def die_half_way(pipe: pipes.Pipe) -> None:
        await pipe.send({"type": READY})
        await pipe.receive()
        await pipe.send({"type": "http.response.start", "status": 200, "headers": []})
        pipe.close()

    tasks: list[asyncio.Task[None]] = []
    async with workers() as pair:
        await pair.owner.joined_polling()  # which makes the folder
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: pipes.Pipe(made=lambda pipe: tasks.append(asyncio.create_task(die_half_way(pipe)))),
            sockets.socket_path(folder, tag),
        )
        answer = await pair.owner.get(tag + "x" * 24)
        assert (answer.status_code, answer.json()) == UNKNOWN
        server.close()
        await asyncio.gather(*tasks)
