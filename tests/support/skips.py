"""A pytest plugin: no test is skipped silently, and in CI (if CI is set) no test is skipped at all.

The markers ``node``, ``java`` and ``proxies`` name what a test needs of the machine. If that is missing, the
test is skipped and the summary says so; in CI, a skip for any reason is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import pytest

NEEDS = {"node": ("node", "npm"), "java": ("java", "javac", "mvn"), "proxies": ("nginx", "caddy")}
"""The commands that tests with each marker need."""

NODE_MODULES = Path(__file__).parents[1] / "clients" / "npm" / "node_modules"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, commands in NEEDS.items():
        if item.get_closest_marker(marker) is None:
            continue
        missing = [command for command in commands if shutil.which(command) is None]
        if marker == "node" and not NODE_MODULES.is_dir():
            missing.append(f"npm packages in {NODE_MODULES.parent.name}")
        if missing:
            pytest.skip(f"no {', no '.join(missing)} (./tests/run sets them up)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed_in_ci((yield))


def _failed_in_ci(report: Report) -> Report:
    # An expected failure is also reported as a skip, but it is not one
    if in_ci() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: Any) -> str:
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if skipped := terminalreporter.stats.get("skipped"):
        terminalreporter.write_sep("!", f"NOT TESTED on this machine: {len(skipped)}", yellow=True, bold=True)
