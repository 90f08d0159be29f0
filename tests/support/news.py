"""A pytest plugin: a failure is named when it happens, for a run may be long, or be cut before its summary."""

from __future__ import annotations

import pytest


class News:
    """Writes a line for each failure to the terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._terminal = config.pluginmanager.get_plugin("terminalreporter")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self._terminal is not None:
            self._terminal.ensure_newline()
            self._terminal.write_line(f"FAILED {report.nodeid}, {report.when}: {_why(report)}", red=True)
            self._terminal.flush()


@pytest.hookimpl(trylast=True)  # the terminal's own plugin is there by then
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # what workers report comes to the run as well
        config.pluginmanager.register(News(config))


def _why(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return next((line for line in text.splitlines() if line.strip()), "")[:300]
