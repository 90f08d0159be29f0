"""The architecture, kept by tests: read from the source of the checkout, which nothing here imports.

Each check is a function from a module to what is wrong with it, and is shown a doctored module that it has to
object to.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "walkie_signal"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("settings",),
    ("core", "bounded_log", "runtime_folder", "turns"),
    ("auth", "backends", "host", "ice", "metrics"),
    ("node",),
    ("namespace", "transport"),
    ("asgi",),
    ("",),  # the package itself: what it exports
    ("cli",),
    ("__main__",),
)
"""Each part of the package may import those of the lines above it. Parts of one line don't know one another."""

LIBRARIES = {
    "click": ("cli",),
    "engineio": ("asgi", "namespace", "transport"),
    "h11": ("transport",),
    "hiredis": ("backends.redis",),
    "jwt": ("auth",),
    "orjson": ("core.codec",),
    "picows": ("transport",),
    "prometheus_client": ("metrics",),
    "redis": ("backends.redis",),
    "socketio": ("asgi", "namespace", "transport"),
    "uvicorn": ("cli", "transport"),
    "uvloop": ("cli",),
    "websockets": ("transport",),
}
"""Where each library is known; typing_extensions is Python's own, early, and known everywhere."""

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
"""What core/ does not import: no I/O, no clock, no randomness, no threads."""

IMPURE_IN_TESTS = {"asyncio", "engineio", "pytest_asyncio", "socketio", "support.servers", "unittest.mock"}
"""What the tests of core/ do not import: they are plain functions, and need no stand-ins."""

MODULE_LINES = 320
FUNCTION_LINES = 40
BANNED_WORDS = re.compile(
    r"^(managers?|helpers?|utils?|utilit(y|ies)|clients?|sessions?|participants?|misc|common)$"
)
BANNED_FOR_CLASSES = re.compile(r"^(users?|handler)$")
"""Words for what has a name already (peer, member, identity, node), or for no thing at all."""

UNTESTED = {"ports": "protocols with no behaviour of their own: mypy holds both sides to them"}
"""Modules of core/ with no test file of the same name, each with its reason."""


@dataclass(frozen=True)
class Module:
    """A module by its dotted name, with its source."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def place(self) -> str:
        """The name without the package's: ``core.rooms``."""
        return self.name.partition(".")[2]

    @property
    def part(self) -> str:
        return self.place.partition(".")[0]

    def imports(self) -> Iterator[str]:
        """Yield the dotted name of each thing imported anywhere in the module, by whatever form."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module, names, level):
                    yield from (f"{self._absolute(module, level)}.{alias.name}" for alias in names)
                case ast.Call(
                    ast.Name("import_module" | "__import__") | ast.Attribute(_, "import_module"),
                    [ast.Constant(str(name)), *_],
                ):
                    yield name

    def _absolute(self, module: str | None, level: int | None) -> str:
        if not level:
            return module or ""
        up = level - 1 if self.is_package else level
        return ".".join([*self.name.split(".")[: -up or None], *filter(None, [module])])

    def named(self) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def modules_under(folder: str) -> list[Module]:
    """Return the modules in that folder of the checkout, named from its top."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "node_modules" not in path.parts:
            parts = path.relative_to(ROOT).with_suffix("").parts
            package = parts[-1] == "__init__"
            found.append(Module(".".join(parts[: -1 if package else None]), path.read_text("utf-8"), package))
    return found


RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}


def against_the_direction(module: Module) -> Iterator[str]:
    if module.part not in RANK:
        yield f"{module.name} has no place in LAYERS"
        return
    for name in module.imports():
        top, _, place = f"{name}.".partition(".")
        part = place.partition(".")[0]
        part = part if part in RANK else ""  # a name that the package itself exports
        if top == PACKAGE and part != module.part and RANK[part] >= RANK[module.part]:
            yield f"{module.name} imports {name}"


def libraries_out_of_place(module: Module) -> Iterator[str]:
    for name in module.imports():
        library = name.partition(".")[0]
        if library in sys.stdlib_module_names or library in (PACKAGE, "typing_extensions"):
            continue
        places = LIBRARIES.get(library, ())
        if not any(f"{module.place}.".startswith(f"{place}.") for place in places):
            yield f"{module.name} imports {library}, known in {' and '.join(places) or 'no place yet'} alone"


def impurities(module: Module) -> Iterator[str]:
    of_package = module.name.startswith(PACKAGE)
    for name in module.imports() if module.name.startswith((f"{PACKAGE}.core", "tests.core")) else ():
        for impure in IMPURE if of_package else IMPURE_IN_TESTS:
            if f"{name}.".startswith(f"{impure}."):
                yield f"{module.name} imports {name}"


def too_long(module: Module) -> Iterator[str]:
    sizes = {module.name: (len(module.source.splitlines()), MODULE_LINES)}
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


@pytest.mark.parametrize(
    "check", [against_the_direction, libraries_out_of_place, impurities, too_long, banned_words]
)
def test_the_package(check: Check) -> None:
    assert [wrong for module in modules_under(PACKAGE) for wrong in check(module)] == []


@pytest.mark.parametrize("check", [impurities, too_long])
def test_the_tests(check: Check) -> None:
    assert [wrong for module in modules_under("tests") for wrong in check(module)] == []


def test_each_file_of_the_core_has_its_tests() -> None:
    core = {path.stem for path in (ROOT / PACKAGE / "core").glob("[!_]*.py")}
    tests = {path.stem for path in (ROOT / "tests" / "core").glob("test_*.py")}
    assert core, "nothing found"
    assert sorted(without_tests(core, tests)) == []
    assert UNTESTED.keys() <= core
    assert without_tests({"rooms", "new"}, {"test_rooms"}) == {"new"}


CORE, TRANSPORT = f"{PACKAGE}.core.rooms", f"{PACKAGE}.transport.sockets"
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
        (libraries_out_of_place, CORE, "import orjson"),
        (libraries_out_of_place, f"{PACKAGE}.backends.memory", "from redis.asyncio import Redis"),
        (
            libraries_out_of_place,
            f"{PACKAGE}.node.node",
            "try:\n    import socketio\nexcept ImportError: pass",
        ),
        (libraries_out_of_place, f"{PACKAGE}.asgi", "import uvicorn"),
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


def test_ci_runs_the_command_that_the_readme_gives() -> None:
    assert re.search(r"^\./tests/run$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert re.search(r"^exec \./tests/run </dev/null$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
