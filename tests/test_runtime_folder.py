"""Which folder the processes of a service meet in: for each of them the same, and nobody else's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from walkie_signal.runtime_folder import OURS, TEMPORARY, UnusableError, folder

NAME = f"walkie-signal-{os.geteuid()}"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name no folder but that for everybody."""
    for name in OURS + TEMPORARY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(made(tmp_path / "everybody")))


def made(path: Path) -> Path:
    path.mkdir(0o700)
    return path


def test_that_of_the_service_comes_before_that_of_the_login(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert folder() == tmp_path / "everybody" / NAME
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(made(tmp_path / "login")))
    assert folder() == tmp_path / "login" / NAME
    service = made(tmp_path / "service")
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{service}:{tmp_path}")
    assert folder() == service / NAME
    assert folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("named", ["", "missing", "relative", "a file"])
def test_one_that_is_not_there_is_passed_over(
    named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.chdir(made(tmp_path / "here"))
    made(tmp_path / "here" / "relative")
    path = named if named in ("", "relative") else str(tmp_path / named)
    for name in (*OURS, "TEMP"):
        monkeypatch.setenv(name, path)
    assert folder() == tmp_path / "everybody" / NAME


@pytest.mark.promise(
    "Many nodes",
    "The workers' folder: the same for all of a port, made again with no session lost if it is removed, "
    "and one warning if it can't be used",
)
@pytest.mark.parametrize("name", [*OURS, TEMPORARY[0]])
def test_one_that_can_not_be_looked_at_is_passed_over(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one inside somebody else's folder; its name is too long here, so that root can't look at it either."""
    monkeypatch.setenv(TEMPORARY[1], os.environ["TMPDIR"])
    monkeypatch.setenv(name, str(tmp_path / ("x" * 300)))
    assert folder() == tmp_path / "everybody" / NAME


def test_one_of_another_user_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `sudo -E` and `su` leave it in the environment."""
    stranger = Path("/proc/1") if os.geteuid() else made(tmp_path / "stranger")
    if not os.geteuid():
        os.chown(stranger, 12345, -1)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(stranger))
    assert folder() == tmp_path / "everybody" / NAME


@pytest.mark.promise(
    "Many nodes",
    "The workers' folder: the same for all of a port, made again with no session lost if it is removed, "
    "and one warning if it can't be used",
)
def test_a_folder_that_takes_nothing_now_is_the_same_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else workers that start while a disk is full would wait for the others elsewhere."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "/proc")
    with pytest.raises(UnusableError, match=f"^/proc/{NAME}: "):
        folder()
