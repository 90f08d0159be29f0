"""FastAPI in each of the ways that a host takes signaling in: nothing of the host's own stops working."""

from __future__ import annotations

import pytest
import websockets

from hosts.ways import OURS, WAYS, Way, by_namespace_alone, site
from support.servers import hosted
from support.stock import meet, peers, web


@pytest.mark.promise(
    "Hosts", "The four ways into FastAPI work, and lifespan, routes and middleware go on working"
)
@pytest.mark.parametrize(
    ("way", "transport"),
    [
        *((way, "websocket") for way in WAYS.values()),
        (WAYS["attach"], "polling"),
        (WAYS["middleware"], "polling"),
    ],
)
async def test_peers_meet_while_the_host_lives_its_life(way: Way, transport: str) -> None:
    host = site()
    async with hosted(way(host.app, "/socket.io")) as url:
        assert host.lived == ["startup"]
        await meet(url, transport=transport)
        async with web(url) as http:
            answer = await http.get("/health")
            assert (answer.status_code, answer.json()["scheduler"]) == (200, "runs")
            assert (await http.get("/nowhere")).status_code == 404
        async with websockets.connect(url.replace("http", "ws") + "/echo") as websocket:
            await websocket.send("hello")
            assert await websocket.recv() == "hello"
    assert host.lived == ["startup", "shutdown"]


@pytest.mark.promise("Hosts", "It works under prefix paths, root paths and mounts")
@pytest.mark.parametrize(
    ("way", "path"),
    [*((way, "/api/socket.io") for way in WAYS.values()), (WAYS["attach"], "api/socket.io/")],
)
async def test_a_prefix_path_is_served_with_and_without_the_last_slash(way: Way, path: str) -> None:
    host = site()
    # python-socketio's ASGIApp serves what lies below its path, too
    more = [] if way is by_namespace_alone else ["/api/socket.io/more"]
    async with hosted(way(host.app, path)) as url, web(url) as http:
        for asked in ("/api/socket.io", "/api/socket.io/"):
            answer = await http.get(asked, params={"EIO": "4", "transport": "polling"})
            assert (answer.status_code, answer.text[:1]) == (200, "0"), (asked, answer)
        for other in ("/socket.io/", "/api/", "/api/socket.iox/", *more):
            answer = await http.get(other, params={"EIO": "4", "transport": "polling"})
            assert answer.status_code == 404, (other, answer)
        await meet(url, path="/api/socket.io")


@pytest.mark.promise(
    "Hosts", "The four ways into FastAPI work, and lifespan, routes and middleware go on working"
)
@pytest.mark.parametrize("way", OURS.values(), ids=OURS.keys())
async def test_a_route_gets_hold_of_the_signaling(way: Way) -> None:
    host = site()
    async with (
        hosted(way(host.app, "/socket.io")) as url,
        web(url) as http,
        peers(url, "gate"),
    ):
        assert (await http.get("/health")).json() == {"scheduler": "runs", "rooms": ["gate"]}
