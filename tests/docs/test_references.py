"""What the docs name is there: files, tests, options, variables, events, codes, limits, versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import click
import pytest
from uvicorn import main as uvicorn_command

import walkie_signal
from docs.pages import DOCS, PAGES, ROOT, Page, hook
from walkie_signal.cli import main
from walkie_signal.cli.token import make, read
from walkie_signal.core.changes import Reason
from walkie_signal.core.peer_events import CLIENT_EVENTS
from walkie_signal.errors import ErrorCode
from walkie_signal.settings import ServeOptions, Settings
from walkie_signal.wire.event_packets import RESERVED_EVENTS

PROTOCOL = PAGES["docs/reference/protocol.md"]

each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())

# Files


@each_page
def test_links_lead_somewhere(page: Page) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.prose)
    for link in links:
        target, _, anchor = link.partition("#")
        if not re.match(r"[a-z]+:", link):
            path = page.path.parent / target if target else page.path
            assert path.exists(), link
            assert not anchor or anchor in anchors(path), link


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@each_page
def test_files_that_are_named_exist(page: Page) -> None:
    named = re.findall(
        r"`((?:walkie_signal|tests|docs|core|backends|namespace|node|cli)/[\w./-]*)", page.prose
    )
    missing = [
        name for name in named if not (ROOT / name).exists() and not (ROOT / "walkie_signal" / name).exists()
    ]
    assert missing == []


@pytest.mark.promise(
    "Many nodes",
    "Each file for nginx and Caddy in the docs serves the path with and without its last slash, and pages "
    "only show lines of these files",
)
def test_a_proxy_s_lines_are_those_of_a_file_that_the_tests_run() -> None:
    shown = [
        each for page in PAGES.values() for each in re.findall(r'^--8<-- "(.+)"$', page.text, re.MULTILINE)
    ]
    assert shown
    assert [each for each in shown if not (DOCS / "examples" / each).exists()] == []
    typed = [
        str(block)
        for page in PAGES.values()
        for block in page.blocks()
        if re.search(r"^\s*(proxy_pass|reverse_proxy) ", block.code, re.MULTILINE)
    ]
    assert typed == []


# Commands


def options_of(command: click.Command) -> set[str]:
    return {name for each in command.params for name in each.opts} | {"--help", "-h", "--version"}


OPTIONS = {
    "walkie-signal serve": options_of(main.commands["serve"]),
    "walkie-signal token make": options_of(make),
    "walkie-signal token read": options_of(read),
    "uvicorn": options_of(uvicorn_command),
    "./tests/run": set(re.findall(r"^  (-+\w+)", (ROOT / "tests/run").read_text("utf-8"), re.MULTILINE))
    | {"-k"},
    "benchmarks/run.py": set(
        re.findall(r'"(--\w+)"', (ROOT / "benchmarks/run.py").read_text("utf-8"), re.MULTILINE)
    ),
}


def commands() -> Iterator[tuple[str, str]]:
    """Yield each of our commands that the docs type, with what follows it on the line."""
    for page in PAGES.values():
        typed = [line for block in page.blocks("sh", "ini") for line in block.code.splitlines()]
        for line in [*typed, *re.findall(r"`([^`\n]+)`", page.prose)]:
            for name in OPTIONS:
                if found := re.search(rf"(?:^|[ /=]){re.escape(name)}( .*|$)", line):
                    yield name, found[1]


@pytest.mark.promise("The docs", "Options, variables, events, codes and limits in them match the code")
def test_options_that_are_typed_exist() -> None:
    typed = list(commands())
    assert {name for name, _ in typed} == set(OPTIONS)
    wrong = [
        (name, each)
        for name, rest in typed
        for each in re.findall(r"(?<!\S)--?[a-z][\w-]*", rest)
        if each not in OPTIONS[name]
    ]
    assert wrong == []


def test_options_that_are_mentioned_exist() -> None:
    known = set().union(*OPTIONS.values())
    mentioned = {each for page in PAGES.values() for each in re.findall(r"`(--[a-z-]+)[^`]*`", page.prose)}
    assert mentioned
    assert mentioned - known == set()


@pytest.mark.promise("The docs", "Options, variables, events, codes and limits in them match the code")
def test_variables_exist() -> None:
    known = {str(each.envvar) for each in main.commands["serve"].params if isinstance(each, click.Option)}
    named = {each for page in PAGES.values() for each in re.findall(r"WALKIE_SIGNAL_[A-Z_]+", page.text)}
    assert named
    assert named <= known


def test_log_lines_are_those_that_are_logged() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "walkie_signal").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*"', "", source)  # a literal over two lines
    for line, _ in PAGES["docs/operations.md"].table("Line", "Means"):
        for quoted in re.findall(r"`([^`]+)`", line):
            for part in filter(None, (each.strip(" :") for each in quoted.split("…"))):
                assert part in said or re.sub(r"^\S+", "%s", part) in said, part


# The wire


def test_events_of_clients_are_the_protocol_s() -> None:
    assert {row[0].strip("`") for row in PROTOCOL.table("Event", "Payload", "Ack")} == CLIENT_EVENTS
    reserved = re.search(r"Socket\.IO reserves \(([^)]+)\)", PROTOCOL.text)
    assert reserved is not None
    assert set(re.findall(r"`(\w+)`", reserved[1])) == RESERVED_EVENTS


@pytest.mark.promise("The docs", "Options, variables, events, codes and limits in them match the code")
def test_codes_and_reasons_are_the_protocol_s() -> None:
    assert {row[0].strip("`") for row in PROTOCOL.table("`code`", "When")} == set(get_args(ErrorCode))
    reasons = {row[0].strip("`") for row in PROTOCOL.table("`reason`")}
    assert reasons == set(get_args(Reason))
    android = {
        each
        for row in PAGES["docs/clients/android.md"].table("`code`")
        for each in re.findall(r"`(\w+)`", row[0])
    }
    assert android <= set(get_args(ErrorCode))


@pytest.mark.promise("The docs", "Options, variables, events, codes and limits in them match the code")
def test_limits_are_the_settings_defaults() -> None:
    settings = Settings()
    for name, default, _ in PROTOCOL.table("Setting", "Default"):
        assert default == str(getattr(settings, name.strip("`"))), name
    codes: dict[str, str] = dict(PROTOCOL.table("`code`", "When"))
    assert f"{settings.event_bytes} bytes" in codes["`payload_too_large`"]
    assert f"its {settings.room_capacity} members" in codes["`room_full`"]
    assert f"more than {settings.nesting_depth} deep" in codes["`invalid_payload`"]
    noticed = f"{settings.ping_interval + settings.ping_timeout:.0f} s"
    for name in ("docs/clients/web.md", "docs/clients/android.md", "docs/fastapi.md", "docs/migration.md"):
        assert noticed in PAGES[name].text, name


# What is made from the code


def test_the_settings_page_has_every_setting() -> None:
    page = hook("settings_page").on_page_markdown(PAGES["docs/reference/settings.md"].text)
    for group in (Settings, ServeOptions):
        for each in fields(group):
            (row,) = re.findall(rf"^\|.*`--{each.name.replace('_', '-')}`.*$", page, re.MULTILINE)
            assert f"`WALKIE_SIGNAL_{each.name.upper()}`" in row
            assert each.metadata["text"] in row
    assert "<!--" not in page


def test_the_api_page_has_every_public_name() -> None:
    described = re.findall(r"^::: walkie_signal\.(\w+)$", PAGES["docs/reference/api.md"].text, re.MULTILINE)
    assert sorted(described) == sorted({*walkie_signal.__all__} - {"__version__"})


# Versions and languages


def test_the_changelog_tells_of_this_version() -> None:
    top = PAGES["CHANGELOG.md"].text.partition("\n## ")[2].partition("\n## ")[0]
    assert walkie_signal.__version__ in top


@pytest.mark.promise("The docs", "The migration page says the same in both languages")
def test_the_indonesian_page_says_as_much_as_the_english_one() -> None:
    english, indonesian = PAGES["docs/migration.md"], PAGES["docs/migration.id.md"]
    assert [block.code for block in english.blocks()] == [block.code for block in indonesian.blocks()]
    for mark in (r"^#+ ", r"^\|", r"^\d\. ", r"^!!! "):
        assert len(re.findall(mark, english.prose, re.MULTILINE)) == len(
            re.findall(mark, indonesian.prose, re.MULTILINE)
        ), mark
