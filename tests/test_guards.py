"""The guards that each test of this project stands under, seen to catch what they are for."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest

from support.process_table import table
from support.processes import running
from support.waiting import eventually

TESTS = Path(__file__).parent
PYTEST = Path(sys.executable).with_name("pytest")

LEAKS = """
    import asyncio, gc, subprocess
    import pytest

    async def forever():
        await asyncio.Event().wait()

    async def fails():
        raise OSError("unread")

    def test_clean():
        subprocess.run(["true"], check=True)

    async def test_clean_async():
        await asyncio.create_task(asyncio.sleep(0))

    async def test_task():
        test_task.kept = asyncio.create_task(forever())

    async def test_unread_exception():
        failed = asyncio.create_task(fails())
        await asyncio.wait([failed])

    async def test_destroyed_task():
        asyncio.create_task(forever())
        await asyncio.sleep(0)
        gc.collect()

    def test_child():
        test_child.process = subprocess.Popen(["sleep", "60"])

    @pytest.fixture(scope="module")
    def program():
        with subprocess.Popen(["sleep", "60"]) as process:
            yield process
            process.kill()

    def test_child_of_the_module(program):
        assert program.poll() is None

    async def test_after_it(program):
        assert program.poll() is None
"""

ORPHAN = """
    import subprocess

    def test_orphan():
        subprocess.run(["sh", "-c", "exec setsid sleep 60 </dev/null >/dev/null 2>&1 &"], check=True)
"""

SKIPS = """
    import pytest

    def test_runs():
        pass

    def test_skips():
        pytest.skip("for no reason")

    @pytest.mark.skipif(True, reason="marked")
    def test_marked():
        pass

    @pytest.mark.java
    def test_java():
        pass

    @pytest.mark.xfail
    def test_known_defect():
        assert False
"""

MODULE_SKIPS = """
    import pytest

    pytest.importorskip("no_such_module")
"""

SIDE_BY_SIDE = """
    import os, pathlib, time
    import pytest

    running = pathlib.Path(__file__).parent

    @pytest.mark.parametrize("number", range(8))
    @pytest.mark.parametrize("kind", ["others", pytest.param("alone", marks=pytest.mark.alone)])
    def test_it(kind, number):
        mine = running / f"{kind}.{number}.running"
        mine.touch()
        beside = [path.name for path in running.glob("*.running") if path != mine]
        time.sleep(0.05)
        mine.unlink()
        assert not beside, f"{kind} beside {beside}"
"""

FAILS_BEFORE_IT_GOES_ON = """
    import pathlib, time
    import pytest

    seen = pathlib.Path(__file__).with_name("seen")

    def test_fails():
        assert 1 == 2, "a word of its own"

    @pytest.fixture
    def broken():
        raise OSError("in the fixture")

    def test_errs(broken):
        pass

    def test_goes_on():
        while not seen.exists():
            time.sleep(0.01)
"""

SERVES_ON = """
    import asyncio, pathlib
    from support.processes import running
    from support.servers import serve

    pids = pathlib.Path(__file__).with_name("pids")

    async def test_serves():
        # The second one has a child, which does not end with it
        async with serve() as server, running(["sh", "-c", "sleep 300 & echo $!; wait"]) as program:
            child = await program.line("[0-9]+")
            pids.with_suffix(".new").write_text(f"{server.program.pid} {program.pid} {child[0]}")
            pids.with_suffix(".new").rename(pids)
            await asyncio.Event().wait()
"""

SLOW = """
    def test_computes():
        assert sum(range(8_000_000)) > 0
"""


INI = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers =
    java
    alone
"""


HEEDS_CTRL_C = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
"""
"""A shell without job control lets what it starts in the background ignore SIGINT, and that is inherited."""


def doctored(folder: Path, source: str, *options: str) -> list[str | Path]:
    """Write a test module under this project's guards; returns the command that runs it."""
    (folder / "test_doctored.py").write_text(dedent(source))
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text() + HEEDS_CTRL_C)
    (folder / "pytest.ini").write_text(f"{INI}pythonpath = {TESTS}\n")
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # slow to start
    return [PYTEST, "-ra", *without, *options, folder]


class Run:
    """One run of pytest with this project's guards over a test module."""

    def __init__(self, folder: Path, source: str, *options: str, **env: str) -> None:
        results = folder / "results.xml"
        environment = {name: value for name, value in os.environ.items() if name != "CI"}
        self.process = subprocess.run(
            doctored(folder, source, f"--junitxml={results}", *options),
            cwd=folder,
            env=environment | env,
            capture_output=True,
            text=True,
            check=False,
        )
        self.failures = {
            str(case.get("name")): "".join(child.get("message", "") + (child.text or "") for child in case)
            for case in ET.parse(results).iter("testcase")  # noqa: S314 - pytest wrote it
            if case.find("failure") is not None or case.find("error") is not None
        }


def test_what_outlives_a_test_fails_it(tmp_path: Path) -> None:
    run = Run(tmp_path, LEAKS)
    expected = {
        "test_task": "tasks outlive the test",
        "test_unread_exception": "Task exception was never retrieved",
        "test_destroyed_task": "Task was destroyed but it is pending",
        "test_child": "processes outlive the test",
    }
    assert run.failures.keys() == expected.keys(), run.process.stdout
    for name, text in expected.items():
        assert text in run.failures[name]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of orphans")
def test_a_process_whose_parent_is_gone_fails_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, ORPHAN)
    assert run.process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "outlives the run" in run.process.stdout
    assert "test_orphan" in run.process.stdout.partition("outlives the run")[2]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of orphans")
def test_a_process_that_a_worker_s_test_has_left_fails_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, ORPHAN, "-n", "2")
    assert run.process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_orphan" in run.process.stdout.partition("outlives the run")[2]
    assert run.process.stdout.count("outlives the run") == 1, run.process.stdout


@pytest.mark.promise(
    "The package",
    "A failure in a test run is named when it happens; a run that is cut, by whatever signal, leaves no "
    "program behind",
)
@pytest.mark.parametrize("workers", ["0", "2"])
async def test_a_failure_is_named_when_it_happens(workers: str, tmp_path: Path) -> None:
    """While the last test waits for the first two to be named."""
    command = doctored(tmp_path, FAILS_BEFORE_IT_GOES_ON, "-n", workers)
    async with running(command, cwd=tmp_path) as run:
        await run.line(r"FAILED \S*test_doctored.py::test_fails, call: AssertionError: a word of its own")
        await run.line(r"FAILED \S*test_doctored.py::test_errs, setup: OSError: in the fixture")
        assert "short test summary" not in run.output
        (tmp_path / "seen").touch()
        assert await run.wait() == pytest.ExitCode.TESTS_FAILED


@pytest.mark.promise(
    "The package",
    "A failure in a test run is named when it happens; a run that is cut, by whatever signal, leaves no "
    "program behind",
)
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name
)
@pytest.mark.parametrize("workers", ["0", "1"])
async def test_a_run_that_is_cut_leaves_nothing_behind(
    workers: str, number: signal.Signals, tmp_path: Path
) -> None:
    """The signal comes to pytest, and not to its workers, nor to what the tests have started."""
    command, told = doctored(tmp_path, SERVES_ON, "-n", workers), tmp_path / "pids"
    async with running(command, cwd=tmp_path) as run:
        await eventually(told.exists, what=lambda: f"started:\n{run.output}", within=30)
        started = {int(pid) for pid in told.read_text().split()}
        assert len(started) == 3
        assert started <= {entry.pid for entry in table()}
        run.send_signal(number)
        await eventually(lambda: left(started), operator.not_, lambda: f"ended:\n{run.output}", within=30)


def left(pids: set[int]) -> dict[int, str]:
    return {entry.pid: entry.command for entry in table() if entry.pid in pids}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_tests_are_named_from_the_checkout(workers: str) -> None:
    """As the documents do, such as ``./tests/run tests/cluster``."""
    command = [str(PYTEST), "-q", "-n", workers, "tests/test_exports.py", "-k", "unknown_name"]
    run = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert run.returncode == pytest.ExitCode.OK, run.stdout
    assert "1 passed" in run.stdout


def test_a_test_that_is_to_be_alone_has_no_other_beside_it(tmp_path: Path) -> None:
    """Others have: without the marker the very same test fails."""
    run = Run(tmp_path, SIDE_BY_SIDE, "-n", "2", "--dist", "load")
    beside = "".join(run.failures.values())
    assert "others beside ['others." in beside, run.process.stdout
    assert "alone beside" not in beside
    assert "beside ['alone." not in beside


def test_skips_are_loud_on_a_developers_machine(tmp_path: Path) -> None:
    run = Run(tmp_path, SKIPS, PATH="/nowhere")
    assert run.process.returncode == pytest.ExitCode.OK, run.process.stdout
    assert "NOT TESTED on this machine: 3" in run.process.stdout
    assert "no java, no javac, no mvn" in run.process.stdout


@pytest.mark.promise("The package", "CI runs the README's test command, and skips nothing")
def test_skips_fail_in_ci(tmp_path: Path) -> None:
    run = Run(tmp_path, SKIPS, PATH="/nowhere", CI="true")
    assert run.process.returncode == pytest.ExitCode.TESTS_FAILED
    assert run.failures.keys() == {"test_skips", "test_marked", "test_java"}, run.process.stdout
    assert "for no reason" in run.failures["test_skips"]


def test_a_module_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    assert Run(tmp_path, MODULE_SKIPS).process.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    run = Run(tmp_path, MODULE_SKIPS, CI="true")
    assert run.process.returncode == pytest.ExitCode.INTERRUPTED
    assert "no_such_module" in run.process.stdout


def test_a_run_over_its_processor_time_fails(tmp_path: Path) -> None:
    within = Run(tmp_path, SLOW, "--cpu-limit", "60")
    assert within.process.returncode == pytest.ExitCode.OK, within.process.stdout
    over = Run(tmp_path, SLOW, "--cpu-limit", "0.001")
    assert over.process.returncode == pytest.ExitCode.TESTS_FAILED
    assert "FAILED: processor time" in over.process.stdout
