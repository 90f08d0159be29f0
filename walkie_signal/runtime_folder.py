"""The folder in which the processes of one service on a machine find one another.

Anybody who can write in it can read and answer other people's requests, so only our user may have access. All
workers of one port have to choose the same folder at any time. So the choice depends on their environment and their
user, and never on whether something can be written: `tempfile.gettempdir` checks that, and would choose another
folder while a disk is full.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OURS = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")
"""Variables with a folder that is made for us: by systemd for a service (`RuntimeDirectory=`), and for a login."""

TEMPORARY = ("TMPDIR", "TEMP", "TMP")
"""Variables with a folder for everybody; if none is set, `SYSTEM` is used."""

SYSTEM = ("/tmp", "/var/tmp")  # noqa: S108 - the folder in it is made with mode 0700, and checked

MEMORY = ("/dev/shm",)  # noqa: S108 - likewise


class UnusableError(Exception):
    """The folder can't be used; the text says why."""


def folder() -> Path:
    """Return the folder, and make it if there is none.

    Raises:
        UnusableError: Others have access to it, or it can't be made.
    """
    return _ours_in(next(_parents(_owner_of_this_process()), None))


def folders() -> Iterator[Path]:
    """Yield the folders that will do for what all workers of one command find, the one to prefer first.

    The last one is in the memory of the machine, for a container whose file system can't be written.
    """
    owner = _owner_of_this_process()
    for parent in (*_parents(owner), *filter(Path.is_dir, map(Path, MEMORY))):
        with suppress(UnusableError):
            yield make_ours(parent / f"walkie-signal-{owner}")


def shared_folder() -> Path:
    """Return the folder that all commands of our user on this machine share, whatever their environment.

    Raises:
        UnusableError: As above.
    """
    return _ours_in(next((Path(path) for path in SYSTEM if _owner(path) is not None), None))


def _ours_in(parent: Path | None) -> Path:
    if parent is None:
        raise UnusableError(f"there is no folder for temporary files, such as {SYSTEM[0]}")
    return make_ours(parent / f"walkie-signal-{_owner_of_this_process()}")


def make_ours(path: Path) -> Path:
    """Make a folder that only our user may enter, if there is none; returns its path.

    Raises:
        UnusableError: Others have access to it, or it can't be made.
    """
    owner = _owner_of_this_process()
    try:
        found = _made(path)
    except OSError as error:
        raise UnusableError(f"{path}: {error.strerror or error}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise UnusableError(f"{path} is no folder")
    if found.st_uid != owner:
        raise UnusableError(f"{path} belongs to somebody else")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UnusableError(f"{path} is open to others; its mode has to be 0700")
    return path


def _owner_of_this_process() -> int:
    if not hasattr(os, "geteuid"):
        raise UnusableError("this system has no Unix sockets")
    return os.geteuid()


def _made(path: Path) -> os.stat_result:
    with suppress(FileNotFoundError):
        return path.lstat()
    with suppress(FileExistsError):
        path.mkdir(0o700)
    return path.lstat()


def _parents(owner: int) -> Iterator[Path]:
    """Yield the folders that it may be in; the first one is to be taken."""
    for name in OURS:
        path = os.environ.get(name, "").partition(":")[0]  # systemd may name several
        if path and _owner(path) == owner:
            yield Path(path)
    for path in (*filter(None, map(os.environ.get, TEMPORARY)), *SYSTEM):
        if _owner(path) is not None:
            yield Path(path)


def _owner(path: str) -> int | None:
    """Return whose folder it is; ``None`` if it is none, or can't be looked at, as inside somebody else's."""
    if not os.path.isabs(path):  # noqa: PTH117 - a worker asks every second, and a Path takes ten times as long
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - likewise
    except OSError:
        return None
    return found.st_uid if stat.S_ISDIR(found.st_mode) else None
