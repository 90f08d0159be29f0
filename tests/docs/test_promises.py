"""What is promised stands on the tests that hold it, and a page is made of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any

import pytest

from docs.pages import PAGES, hook
from support.modules import Module, modules_under

PAGE = PAGES["docs/reference/promises.md"].text


@pytest.fixture(scope="module")
def reader() -> Any:
    return hook("promises_page")


@pytest.fixture(scope="module")
def every(reader: Any) -> list[Any]:
    return list(reader.markers())


def marked(module: Module) -> Iterator[ast.expr]:
    """Yield each place that says `promise` as a marker is said, whatever is wrong with it."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(ast.Attribute(_, "mark"), "promise"):
                yield node


@pytest.mark.promise("The docs", "Each promise is held by tests, and the page of promises has all of them")
def test_each_marker_is_one_that_the_page_is_made_of(every: list[Any]) -> None:
    """One on a fixture, on a case of several or with a name in place of its text would be lost in silence."""
    assert len(every) == sum(len(list(marked(module))) for module in modules_under("tests"))
    assert len(every) > 300


@pytest.mark.promise("The docs", "Each promise is held by tests, and the page of promises has all of them")
def test_the_page_has_each_promise_once_and_below_it_its_tests(reader: Any, every: list[Any]) -> None:
    page = reader.on_page_markdown(PAGE)
    assert "<!--" not in page
    blocks = re.findall(r"^- (.+)\.\n((?:    - `.+`\n)+)", page, re.MULTILINE)
    shown = [(promise, test) for promise, tests in blocks for test in re.findall(r"`(.+)`", tests)]
    assert sorted(shown) == sorted((marker.promise, marker.test) for marker in every)
    assert len(blocks) == len({marker.promise for marker in every})


def test_the_words_of_a_promise_are_the_same_on_all_its_tests(every: list[Any]) -> None:
    """A word that is mended on one of its tests only would make it two promises."""
    for one, other in combinations(sorted({marker.promise for marker in every}), 2):
        match = SequenceMatcher(None, one, other, autojunk=False)
        alike = match.real_quick_ratio() > 0.85 and match.quick_ratio() > 0.85 and match.ratio() > 0.85
        assert not alike, (one, other)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('@pytest.mark.promise("S", "P")\ndef test_it(): ...', ["tests/t.py::test_it"]),
        (
            '@pytest.mark.node\n@pytest.mark.promise("S", "P")\nasync def test_it(): ...',
            ["tests/t.py::test_it"],
        ),
        (
            '@pytest.mark.promise("S", "P")\n@pytest.mark.promise("S", "Q")\ndef test_it(): ...',
            ["tests/t.py::test_it"] * 2,
        ),
        ('pytestmark = pytest.mark.promise("S", "P")', ["tests/t.py"]),
        ('pytestmark = [pytest.mark.node, pytest.mark.promise("S", "P")]', ["tests/t.py"]),
        ('@pytest.mark.promise("S", "P")\ndef _it(): ...', []),
        ('@pytest.mark.promise("P")\ndef test_it(): ...', []),
        ('@pytest.mark.promise("S", PROMISE)\ndef test_it(): ...', []),
        ('def test_it():\n    pytest.mark.promise("S", "P")', []),
    ],
)
def test_what_counts_as_a_promise_of_a_test(reader: Any, source: str, found: list[str]) -> None:
    assert [marker.test for marker in reader.markers_of("tests/t.py", ast.parse(source))] == found
