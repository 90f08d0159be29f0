"""Processes that nobody has said belong together share no rooms: shared by accident, they would be a leak."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from cluster.crowds import Crowd, crowd
from hosts.several import uvicorn
from hosts.test_launchers import launched
from hosts.test_servers import APPS, WARNING, accepts
from support.peers import RawPeer
from support.processes import SCRIPTS, running
from support.servers import free_port

TESTS = Path(__file__).parents[1]

COMMAND = f"{SCRIPTS / 'uvicorn'} bare:app --port 0"

PROCESSES = """
import multiprocessing
import bare, uvicorn

context = multiprocessing.get_context("fork")
for _ in range(2):
    context.Process(target=uvicorn.run, args=(bare.app,), kwargs={"port": 0}).start()
"""

PARENTS: dict[str, list[str | Path]] = {
    "a shell": ["sh", "-c", f"{COMMAND} & {COMMAND} & wait"],
    "processes of one program": [sys.executable, "-c", PROCESSES],
}


async def check_apart(*services: list[RawPeer]) -> None:
    """Check that peers who have joined only heard of those of their own service."""
    for peers in services:
        known = {peer.peer_id for peer in peers}
        for peer in peers:
            assert (await peer.enter(peer.room))["ok"]  # by now it has heard what was sent before
            heard = {each["peerId"] for each in peer.all("new_peer")}
            listed = {each["peerId"] for status in peer.all("room_status") for each in status["members"]}
            assert heard | listed <= known, peer.history()


@pytest.mark.promise(
    "Hosts", "Equal commands, or processes, that no known supervisor started share no rooms, and are warned"
)
@pytest.mark.parametrize("parent", PARENTS)
async def test_equal_servers_of_one_parent_are_apart_and_are_warned_of(parent: str) -> None:
    """As supervisord's `numprocs=2` starts them."""
    async with running(PARENTS[parent], cwd=APPS) as program, crowd() as peers:
        await program.says("Uvicorn running on", 2)
        urls = re.findall(r"running on (http://\S+)", program.output)
        one, other = [await peers.fill(url, ["gate"], 2) for url in urls]
        await peers.settled(*one)
        await peers.settled(*other)
        await check_apart(one, other)
        warning = await program.line(f"WARNING.*{WARNING}")
        assert "never see one another" in warning.string
        assert program.output.count(WARNING) == 1, program.output


async def test_the_workers_of_two_supervisors_with_one_command_line_are_apart() -> None:
    """As systemd starts two instances of one service, each with a port of its own in the environment."""
    command: list[str | Path] = [SCRIPTS / "uvicorn", "bare:app", "--workers", "2"]
    ports = str(free_port()), str(free_port())
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with (
        running(command, cwd=APPS, env={"UVICORN_PORT": ports[0]}) as one,
        running(command, cwd=APPS, env={"UVICORN_PORT": ports[1]}) as other,
        crowd() as peers,
    ):
        await asyncio.gather(*map(accepts, urls))
        await check_two_services(peers, *urls)
        for program in (one, other):
            assert WARNING not in program.output, program.output


async def check_two_services(peers: Crowd, *urls: str) -> None:
    """Check that the peers at one URL meet on both its workers, and no peer of the other URL."""
    services = [await peers.spread(url, "gate", each=2) for url in urls]
    for service in services:
        await peers.settled(*service)
    await check_apart(*services)


RUN = """
import asyncio, os
from pathlib import Path
from starlette.applications import Starlette
from cluster.crowds import crowd
from support.servers import hosted
from support.waiting import eventually
from walkie_signal import attach


async def talk():
    async with hosted(attach(Starlette())) as one, hosted(attach(Starlette())) as other, crowd() as peers:
        for url in (one, other):
            (first,) = await peers.fill(url, ["gate"])
            Path(os.environ["PYTEST_XDIST_WORKER"]).touch()
            await eventually(lambda: len(list(Path().glob("gw?"))) == 2)
            second = await peers.connect(url)
            ack = await second.enter("gate")
            assert [each["peerId"] for each in ack["peers"]] == [first.peer_id]


def test_peers():
    asyncio.run(talk())
"""


async def test_the_apps_of_tests_that_run_side_by_side_are_apart(tmp_path: Path) -> None:
    (tmp_path / "test_run.py").write_text(RUN)
    each = ["-p", "xdist.plugin", "--tx", "2*popen", "--dist", "each"]
    pytest_twice: list[str | Path] = [SCRIPTS / "pytest", "--rootdir", tmp_path, *each]
    env = {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # so it starts quickly
    async with running(pytest_twice, cwd=tmp_path, env=env) as program:
        assert await program.wait() == 0, program.output
        assert "2 passed" in program.output, program.output


IN_ANOTHER_ORDER = """
from contextlib import asynccontextmanager
from pathlib import Path
import httpx
from starlette.applications import Starlette
from walkie_signal import SignalingMiddleware, attach


@asynccontextmanager
async def lifespan(app):
    order = ["one", "other"]
    try:
        Path("first").touch(exist_ok=False)
    except FileExistsError:
        order.reverse()
    for name in order:
        await start(name)
    yield

app = Starlette(lifespan=lifespan)
"""
"""An app with two tenants, which start in another order in each of two workers."""

ATTACHED = """
for name, tenant in tenants.items():
    app.mount(f"/{name}", tenant)

async def start(name):
    await tenants[name].signaling.start()
"""

ON_TWO_LINES = f"""
tenants = dict(
    one=attach(Starlette()),
    other=attach(Starlette()),
)
{ATTACHED}
"""

BY_A_REQUEST = """
from starlette.middleware.base import BaseHTTPMiddleware

async def in_a_task_of_its_own(request, call_next):
    return await call_next(request)

for name in ("one", "other"):
    tenant = Starlette()
    tenant.add_middleware(SignalingMiddleware)
    tenant.add_middleware(BaseHTTPMiddleware, dispatch=in_a_task_of_its_own)
    app.mount(f"/{name}", tenant)

async def start(name):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://app/{name}") as http:
        session = "/socket.io/?EIO=4&transport=polling"
        sid = (await http.get(session)).text.split('"')[3]
        await http.post(f"{session}&sid={sid}", content="40")
"""
"""Starlette makes the middleware of an app that is mounted when its first request comes."""

SAME_LINE = "rooms in memory: the same line makes another namespace /"


@pytest.mark.parametrize("makes", [ON_TWO_LINES, BY_A_REQUEST], ids=["on two lines", "by a request"])
async def test_the_apps_of_a_process_meet_their_like_in_whatever_order_they_start(
    makes: str, tmp_path: Path
) -> None:
    async with launched(uvicorn(), tmp_path, IN_ANOTHER_ORDER + makes) as (url, program), crowd() as peers:
        await check_two_services(peers, f"{url}/one", f"{url}/other")
        assert SAME_LINE not in program.output, program.output


IN_A_SET = f"""
tenants = {{name: attach(Starlette()) for name in {{"one", "other"}}}}
{ATTACHED}
"""
"""The order of a set of texts is another one in each process."""

BEFORE_THEIR_PATH = BY_A_REQUEST.replace(
    "add_middleware(SignalingMiddleware)", "add_middleware(SignalingMiddleware, signaling=signaling[name])"
)
IN_A_FUNCTION = f"""
from walkie_signal import SignalingNamespace

def make():
    return SignalingNamespace()

signaling = dict(one=make(), other=make())
{BEFORE_THEIR_PATH}
"""
"""When the one starts, the other does not know its path yet."""


@pytest.mark.parametrize("makes", [IN_A_SET, IN_A_FUNCTION], ids=["in a set", "in a function"])
async def test_apps_that_one_line_makes_are_apart_in_all_workers(makes: str, tmp_path: Path) -> None:
    async with launched(uvicorn(), tmp_path, IN_ANOTHER_ORDER + makes) as (url, program), crowd() as peers:
        services = [await peers.spread(f"{url}/{each}", "gate") for each in ("one", "other")]
        await check_apart(*([peer] for service in services for peer in service))
        assert program.output.count(SAME_LINE) == 4, program.output


MOUNTED_TWICE = """
from starlette.applications import Starlette
from walkie_signal import SignalingMiddleware

tenant = Starlette()
tenant.add_middleware(SignalingMiddleware)
app = Starlette()
app.mount("/one", tenant)
app.mount("/other", tenant)
"""


async def test_an_app_that_is_mounted_twice_is_warned_of(tmp_path: Path) -> None:
    """Each worker would take the path of its first request for the app's own."""
    async with launched(uvicorn(), tmp_path, MOUNTED_TWICE) as (url, program), crowd() as peers:
        for each in ("one", "other"):
            await peers.spread(f"{url}/{each}", "gate")
        await program.says("signaling is mounted at '/one' and at '/other'", 2)
