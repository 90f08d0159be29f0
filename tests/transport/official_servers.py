"""The servers that the official cases run on, each a program of its own that serves all cases of a module.

Five runs, of which none may fail:

    for run in 1 2 3 4 5; do pytest tests/transport/test_{engine,socket}io_protocol.py || break; done
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from support.processes import SCRIPTS
from support.raw import NO_CERTIFICATES, Raw
from support.servers import free_port
from support.watchdog import watched

TESTS = Path(__file__).parents[1]
APP = "transport.official_app:app"
DIRECT = "walkie_signal.direct:DirectProtocol"
START, END = 30.0, 15.0
"""Seconds that a server may take to start, and to end."""

UVICORN: list[str | Path] = [
    SCRIPTS / "uvicorn",
    APP,
    "--timeout-graceful-shutdown",
    "2",
    "--no-access-log",
    "--port",
]
SERVE: list[str | Path] = [sys.executable, "-m", "transport.official_serve", "serve"]
SERVE += ["--ping-interval", "0.3", "--ping-timeout", "0.2", "--connect-timeout", "1", "--port"]

SEVERAL: list[str | Path] = ["transport.official_app:one_of_several", "--factory", "--workers", "2"]
"""Two workers that hand requests over, in the place of `APP`."""

COMMANDS: dict[str, list[str | Path]] = {
    "uvicorn": [*UVICORN, "{port}", "--loop", "asyncio", "--http", "h11"],
    "uvicorn-direct": [*UVICORN, "{port}", "--loop", "asyncio", "--ws", DIRECT],
    "uvicorn-workers": [UVICORN[0], *SEVERAL, *UVICORN[2:], "{port}", "--http", "h11"],
    "uvicorn-workers-direct": [UVICORN[0], *SEVERAL, *UVICORN[2:], "{port}", "--ws", DIRECT],
    "serve": [*SERVE, "{port}"],
    "hypercorn": [SCRIPTS / "hypercorn", "--graceful-timeout", "1", "--bind", "127.0.0.1:{port}", APP],
    "granian": [SCRIPTS / "granian", "--interface", "asgi", "--port", "{port}", APP],
}

WRONG = ("Traceback", "never retrieved", "was destroyed")


EXCEPTIONS: dict[str, str] = {}
"""The cases that fail, such as ``test_engineio_protocol.py::TestClose::test_closes_a_polling_session[granian]``,
each with its reason.

One that is listed and passes fails, as does one that is not listed and fails.
"""


def passing(node: pytest.Item) -> Counter[str]:
    """Count the cases of the module that a test is in, for each server, without the exceptions."""
    module = node.getparent(pytest.Module)
    assert module is not None
    functions = [
        function for each in module.collect() if isinstance(each, pytest.Class) for function in each.collect()
    ]
    cases = {name_of(function): function for function in functions if isinstance(function, pytest.Function)}
    listed = {name for name in EXCEPTIONS if name.startswith(module.path.name)}
    assert listed <= set(cases), "an exception that is no case"
    return Counter(
        str(case.callspec.params["official_server"]) for name, case in cases.items() if name not in listed
    )


def name_of(case: pytest.Item) -> str:
    return case.nodeid.rpartition("/")[2]


class Served:
    """A server that listens, its output in a file."""

    def __init__(self, command: list[str | Path], output: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                [str(part).format(port=port) for part in command],
                cwd=TESTS,  # which Python puts on the path: the checkout is not what is tested
                env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + START
        while not self._serves():
            assert self._process.poll() is None, self.output
            assert time.monotonic() < deadline, f"does not serve after {START} s:\n{self.output}"
            time.sleep(0.05)  # servers differ in what they say, and granian says it too early

    def _serves(self) -> bool:
        try:
            httpx.get(f"{self.url}/engine.io/", verify=NO_CERTIFICATES, trust_env=False)
        except httpx.TransportError:
            return False
        return True

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise AssertionError(f"not ended after {END} s:\n{self.output}") from None


@pytest.fixture(scope="module", params=COMMANDS)
def official_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Run each of the servers; fail at the end where it has logged a fault."""
    served = Served(COMMANDS[request.param], tmp_path_factory.mktemp("official") / "output")
    with watched(served.pid, group=True):
        try:
            served.wait_until_it_serves()
            yield served
        finally:
            served.end()
    assert not any(wrong in served.output for wrong in WRONG), served.output


@pytest.fixture
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    if reason := EXCEPTIONS.get(name_of(request.node)):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    async with httpx.AsyncClient(verify=NO_CERTIFICATES, trust_env=False) as http:
        yield http


@pytest.fixture
def engineio_client(official_server: Served, http: httpx.AsyncClient) -> Raw:
    return Raw(f"{official_server.url}/engine.io/", http)


@pytest.fixture
def socketio_client(official_server: Served, http: httpx.AsyncClient) -> Raw:
    return Raw(f"{official_server.url}/socket.io/", http)
