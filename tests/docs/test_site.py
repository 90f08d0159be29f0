"""The site built of the docs: it builds with no more than it asks for, and its search finds what is looked for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import ROOT

BUILD = "import sys; sys.modules['pydantic'] = None; from mkdocs.__main__ import cli; cli()"
"""mkdocs without pydantic, which the docs do not ask for; with it mkdocstrings does not mind wrong options."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", BUILD, "build", "--quiet", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


FOUND = {
    "healthz": "operations/#health",
    "readyz": "scaling/#ready-or-not",
    "/readyz": "operations/#health",
    "room_status": "reference/protocol/#what-a-client-hears",
    "WALKIE_SIGNAL_PORT": "reference/settings/#the-command",
    "cors-origin": "reference/settings/#the-command",
    "drain": "reference/api/#walkie_signal.SignalingNamespace.drain",
    "retryAfterMs": "reference/protocol/#what-a-client-hears",
}
"""Words that a reader looks for, each with a place that tells of it."""


@pytest.mark.promise(
    "The docs",
    "The site builds with its own dependencies; its search finds words within paths and calls; settings' "
    "names are not broken within a word",
)
@pytest.mark.node
def test_the_search_finds_words_within_paths_calls_and_names(site: Path) -> None:
    script = Path(__file__).with_name("search.js")
    ran = subprocess.run(["node", script, site, *FOUND], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert {word: place for word, place in FOUND.items() if place not in found[word]} == {}, found


@pytest.mark.promise(
    "The docs",
    "The site builds with its own dependencies; its search finds words within paths and calls; settings' "
    "names are not broken within a word",
)
def test_names_of_settings_are_not_broken_within_a_word(site: Path) -> None:
    page = (site / "reference/settings/index.html").read_text("utf-8")
    for name in ("room_capacity", "--room-capacity", "WALKIE_SIGNAL_MAX_HTTP_BUFFER_SIZE", "--uds"):
        assert f'<code class="name">{name}</code>' in page
    (sheet,) = re.findall(r'<link rel="stylesheet" href="\.\./\.\./(stylesheets/[^"]+)"', page)
    assert re.search(r"code\.name\s*{\s*white-space: nowrap;", (site / sheet).read_text("utf-8"))
