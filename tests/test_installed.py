"""What is tested is the installed wheel, and it works with none of its extras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from importlib.metadata import Distribution, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import walkie_signal

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed() -> Distribution:
    """Return what pip installed; a developer's editable install is not tested here."""
    found = distribution("walkie-signal")
    if json.loads(found.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable"):
        pytest.skip("an editable install (./tests/run tests the wheel)")
    return found


@pytest.mark.promise("The package", "The tests run the installed wheel")
def test_the_programs_that_tests_start_find_the_installed_package_too() -> None:
    done = _run(sys.executable, "-c", "import walkie_signal; print(walkie_signal.__file__)")
    assert done.stdout.strip() == walkie_signal.__file__


@pytest.fixture(scope="module")
def bare(installed: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with the same wheel, and with none of its extras; returns where its commands are."""
    folder = tmp_path_factory.mktemp("bare")
    url = json.loads(installed.read_text("direct_url.json") or "{}")["url"]
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    scripts = folder / Path(sys.executable).parent.name
    python = scripts / Path(sys.executable).name
    _run(sys.executable, "-m", "pip", "--python", python, "install", "-q", unquote(urlsplit(url).path))
    return scripts


def _run(*command: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.promise("The package", "The tests run the installed wheel")
def test_the_tests_import_the_installed_package(installed: Distribution) -> None:
    imported = Path(walkie_signal.__file__)
    assert imported.is_relative_to(sysconfig.get_path("purelib"))
    assert imported == Path(str(installed.locate_file("walkie_signal/__init__.py")))
    assert str(ROOT) not in map(os.path.realpath, sys.path)


@pytest.mark.promise("The package", "The tests run the installed wheel")
def test_the_wheel_is_the_checkout(installed: Distribution) -> None:
    sources = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in (ROOT / "walkie_signal").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files = {
        str(file): Path(str(file.locate())).read_bytes()
        for file in installed.files or []
        if ".dist-info" not in file.parts[0] and file.parts[0] != ".." and "__pycache__" not in file.parts
    }
    assert sorted(files.keys() ^ sources.keys()) == []
    assert [name for name in sources if files[name] != sources[name]] == []
    assert "walkie_signal/py.typed" in files


def test_the_version_is_that_of_the_wheel(installed: Distribution) -> None:
    assert walkie_signal.__version__ == installed.version


@pytest.mark.promise(
    "The package", "Importing the package and `--help` work without any extra, and nothing warns"
)
def test_the_import_warns_of_nothing_with_no_extra(bare: Path, tmp_path: Path) -> None:
    done = _run(bare / "python", "-W", "error", "-c", "import walkie_signal", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.promise("The command", "Without the extra `jwt`, whatever needs it says what to install")
@pytest.mark.parametrize(
    "arguments", [["serve", "--port=0"], ["token", "make", "--user=u"], ["token", "read"]], ids=" ".join
)
def test_tokens_without_their_extra_say_what_to_install(bare: Path, arguments: list[str]) -> None:
    ended = subprocess.run(
        [bare / "walkie-signal", *arguments],
        env=os.environ | {"WALKIE_SIGNAL_JWT_SECRET": "s" * 32},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    advice = "Error: tokens need a package: pip install 'walkie-signal[jwt]'\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", advice)


@pytest.mark.promise(
    "The package", "Importing the package and `--help` work without any extra, and nothing warns"
)
def test_help_is_quick_and_warns_of_nothing_with_no_extra(bare: Path, tmp_path: Path) -> None:
    taken = []
    for _ in range(3):  # the quickest counts: the machine may be busy
        start = time.monotonic()
        done = _run(bare / "walkie-signal", "--help", cwd=tmp_path, PYTHONWARNINGS="error")
        taken.append(time.monotonic() - start)
        assert done.stdout.startswith("Usage: walkie-signal")
        assert done.stderr == ""
    assert min(taken) < 1.5, taken
