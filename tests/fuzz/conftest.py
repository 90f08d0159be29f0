"""What the tests in this folder tell of themselves, whether they pass or fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fuzz.seeds import SEED

_told = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line at the end of the run."""
    lines = request.config.stash.setdefault(_told, [])
    return lambda text: lines.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _told in config.stash:
        for line in (f"FUZZ_SEED={SEED}", *config.stash[_told]):
            terminalreporter.write_line(line)
