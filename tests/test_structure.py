"""The architecture, kept by tests: read from the source of the checkout, which nothing here imports.

Each check is a function from a module to what is wrong with it, and is shown a doctored module that it has to
object to.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator

import pytest

from support.layout import DIRECT_KNOWS, KNOWN_TO, LAYERS, LIBRARIES, ROOMS
from support.modules import ROOT, Module, modules_under

PACKAGE = "walkie_signal"

IMPURE = {
    *(
        "asyncio",
        "concurrent",
        "logging",
        "multiprocessing",
        "os",
        "random",
        "secrets",
        "select",
        "selectors",
    ),
    *("socket", "ssl", "subprocess", "threading", "time", "uuid", "engineio", "redis", "socketio", "uvicorn"),
}
"""What core/ and wire/ do not import: no I/O, no clock, no randomness, no threads."""

IMPURE_IN_TESTS = {"asyncio", "engineio", "pytest_asyncio", "socketio", "support.servers", "unittest.mock"}
"""What the tests of both do not import: they are plain functions, and need no stand-ins."""

PURE = ("core", "wire")

MODULE_LINES, TEST_MODULE_LINES = 300, 320
FUNCTION_LINES = 40
BANNED_WORDS = re.compile(
    r"^(managers?|helpers?|utils?|utilit(y|ies)|clients?|sessions?|participants?|misc|common)$"
)
BANNED_FOR_CLASSES = re.compile(r"^(users?|handler)$")
"""Words for what has a name already (peer, member, identity, node), or for no thing at all."""

UNTESTED = {"ports": "protocols with no behaviour of their own: mypy holds both sides to them"}
"""Modules of core/ with no test file of the same name, each with its reason."""


RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}


def against_the_direction(module: Module) -> Iterator[str]:
    if module.part not in RANK:
        yield f"{module.name} has no place in LAYERS"
        return
    for name in module.imports():
        top, _, place = f"{name}.".partition(".")
        part = place.partition(".")[0]
        part = part if part in RANK else ""  # a name that the package itself exports
        if top != PACKAGE or part == module.part:
            continue
        if RANK[part] >= RANK[module.part] or (module.part == "direct" and part not in DIRECT_KNOWS):
            yield f"{module.name} imports {name}"


def against_the_direction_of_its_room(module: Module) -> Iterator[str]:
    for room, ranks in ROOMS.items():
        own = _within(room, module.place)
        if own == "":
            continue
        rank = {name: number for number, names in enumerate(ranks) for name in names}
        if own not in rank:
            yield f"{module.name} has no place in ROOMS"
            continue
        for name in module.imports():
            other = _within(room, name.partition(".")[2])
            if other in rank and other != own and rank[other] >= rank[own]:
                yield f"{module.name} imports {name}"


def _within(room: str, place: str) -> str:
    """Return the first name of a place below a room; empty if the place is not below it."""
    return place.removeprefix(f"{room}.").partition(".")[0] if place.startswith(f"{room}.") else ""


def libraries_out_of_place(module: Module) -> Iterator[str]:
    for name in module.imports():
        library = name.partition(".")[0]
        if library in sys.stdlib_module_names or library in (PACKAGE, "typing_extensions"):
            continue
        places = LIBRARIES.get(library, ())
        if not _is_below(places, module.place):
            yield f"{module.name} imports {library}, known in {' and '.join(places) or 'no place yet'} alone"


def told_too_widely(module: Module) -> Iterator[str]:
    for name in module.imports():
        for known, places in KNOWN_TO.items():
            if f"{name}.".startswith(f"{PACKAGE}.{known}.") and not _is_below(places, module.place):
                yield f"{module.name} imports {name}, known to {' and '.join(places)} alone"


def _is_below(places: Iterable[str], place: str) -> bool:
    return any(f"{place}.".startswith(f"{each}.") for each in places)


def impurities(module: Module) -> Iterator[str]:
    of_package = module.name.startswith(PACKAGE)
    pure = tuple(f"{top}.{place}" for top in (PACKAGE, "tests") for place in PURE)
    for name in module.imports() if module.name.startswith(pure) else ():
        for impure in IMPURE if of_package else IMPURE_IN_TESTS:
            if f"{name}.".startswith(f"{impure}."):
                yield f"{module.name} imports {name}"


def too_long(module: Module) -> Iterator[str]:
    code = len(module.source.splitlines()) - module.lines_of_promises()
    sizes = {module.name: (code, MODULE_LINES if module.name.startswith(PACKAGE) else TEST_MODULE_LINES)}
    for node in module.named():
        if not isinstance(node, ast.ClassDef):
            sizes[f"{module.name}:{node.name}"] = (_body_lines(node), FUNCTION_LINES)
    for name, (lines, limit) in sizes.items():
        if lines > limit:
            yield f"{name} has {lines} lines, more than {limit}"


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def banned_words(module: Module) -> Iterator[str]:
    for word in _words(module.place):
        if BANNED_WORDS.match(word):
            yield f"{module.name} is called {word}"
    for node in module.named():
        for word in _words(node.name):
            banned = BANNED_WORDS.match(word) or (
                isinstance(node, ast.ClassDef) and BANNED_FOR_CLASSES.match(word)
            )
            if banned:
                yield f"{module.name}:{node.name} is called {word}"


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def without_tests(core: set[str], tests: set[str]) -> set[str]:
    return {name for name in core - UNTESTED.keys() if f"test_{name}" not in tests}


Check = Callable[[Module], Iterator[str]]


@pytest.mark.promise(
    "The package",
    "Imports go one way, `core/` is pure, modules and functions are short, and only our words are used",
)
@pytest.mark.parametrize(
    "check",
    [
        against_the_direction,
        against_the_direction_of_its_room,
        libraries_out_of_place,
        told_too_widely,
        impurities,
        too_long,
        banned_words,
    ],
)
def test_the_package(check: Check) -> None:
    assert [wrong for module in modules_under(PACKAGE) for wrong in check(module)] == []


@pytest.mark.parametrize("check", [impurities, too_long])
def test_the_tests(check: Check) -> None:
    assert [wrong for module in modules_under("tests") for wrong in check(module)] == []


@pytest.mark.parametrize("folder", PURE)
def test_each_file_of_the_core_and_the_wire_has_its_tests(folder: str) -> None:
    files = {path.stem for path in (ROOT / PACKAGE / folder).glob("[!_]*.py")}
    tests = {path.stem for path in (ROOT / "tests" / folder).glob("test_*.py")}
    assert files, "nothing found"
    assert sorted(without_tests(files, tests)) == []


def test_a_file_without_its_tests_is_found() -> None:
    assert {path.stem for path in (ROOT / PACKAGE / "core").glob("*.py")} >= UNTESTED.keys()
    assert without_tests({"rooms", "new"}, {"test_rooms"}) == {"new"}


CORE, TRANSPORT = f"{PACKAGE}.core.rooms", f"{PACKAGE}.transport.socketio.sockets"
LONG_FUNCTION = "async def f():\n    'Doc.'\n" + "    await g()\n" * (FUNCTION_LINES + 1)


@pytest.mark.parametrize(
    ("check", "name", "source"),
    [
        (against_the_direction, CORE, f"import {PACKAGE}.node.peers"),
        (against_the_direction, CORE, f"from {PACKAGE} import asgi"),
        (against_the_direction, CORE, f"from {PACKAGE} import attach"),
        (against_the_direction, CORE, "from ..backends.base import Backend"),
        (against_the_direction, CORE, "if TYPE_CHECKING:\n    from .. import node"),
        (against_the_direction, CORE, f"def f():\n    import {PACKAGE}.cli"),
        (against_the_direction, CORE, f"importlib.import_module('{PACKAGE}.auth')"),
        (against_the_direction, TRANSPORT, f"from {PACKAGE}.namespace import links"),
        (against_the_direction, f"{PACKAGE}.namespace.links", f"from {PACKAGE}.transport import sockets"),
        (against_the_direction, f"{PACKAGE}.surprise", ""),
        (against_the_direction, f"{PACKAGE}.direct.frames", f"from {PACKAGE}.turns import Turns"),
        (against_the_direction_of_its_room, CORE, f"from {PACKAGE}.core.registry import Registry"),
        (
            against_the_direction_of_its_room,
            TRANSPORT,
            f"if TYPE_CHECKING:\n    from {PACKAGE}.transport.socketio.server import Server",
        ),
        (
            against_the_direction_of_its_room,
            f"{PACKAGE}.transport.engineio.server",
            f"from {PACKAGE}.transport.workers import hand_over",
        ),
        (against_the_direction_of_its_room, f"{PACKAGE}.node.surprise", ""),
        (libraries_out_of_place, CORE, "import orjson"),
        (libraries_out_of_place, f"{PACKAGE}.backends.memory", "from redis.asyncio import Redis"),
        (
            libraries_out_of_place,
            f"{PACKAGE}.node.node",
            "try:\n    import socketio\nexcept ImportError: pass",
        ),
        (libraries_out_of_place, f"{PACKAGE}.asgi", "import uvicorn"),
        (
            told_too_widely,
            f"{PACKAGE}.backends.redis.server",
            f"from {PACKAGE}.backends.redis.scripts import BEAT",
        ),
        (
            told_too_widely,
            f"{PACKAGE}.backends.shared.mail",
            f"from {PACKAGE}.backends.redis.store.names import Names",
        ),
        (libraries_out_of_place, f"{PACKAGE}.cli.serve", "import new_library"),
        (impurities, CORE, "from time import monotonic"),
        (impurities, CORE, "def f():\n    import os.path"),
        (impurities, "tests.core.test_rooms", "from unittest import mock"),
        (too_long, CORE, "\n" * (MODULE_LINES + 1)),
        (too_long, CORE, LONG_FUNCTION),
        (banned_words, f"{PACKAGE}.core.room_utils", ""),
        (banned_words, CORE, "class RoomManager: ..."),
        (banned_words, CORE, "class HTTPHandler: ..."),
        (banned_words, CORE, "class User: ..."),
        (banned_words, CORE, "def _join_helper(): ..."),
        (banned_words, CORE, "class Room:\n    async def session(self): ..."),
    ],
)
def test_a_doctored_module_is_objected_to(check: Check, name: str, source: str) -> None:
    assert len(list(check(Module(name, source)))) == 1


def test_lock_files_name_no_host() -> None:
    locks = [path for path in ROOT.glob("tests/**/package-lock.json") if "node_modules" not in path.parts]
    for path in locks:
        packages = json.loads(path.read_text())["packages"].values()
        assert not [found for each in packages if "://" in (found := each.get("resolved", ""))], path


@pytest.mark.promise("The package", "CI runs the README's test command, and skips nothing")
def test_ci_runs_the_command_that_the_readme_gives() -> None:
    assert re.search(r"^\./tests/run$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert re.search(r"^exec \./tests/run </dev/null$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
