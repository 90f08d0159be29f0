"""The page on tokens names each reason of a refusal, and each option of the command."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import walkie_signal
from docs.pages import PAGES
from walkie_signal.auth.tokens import MALFORMED, REASONS
from walkie_signal.settings.auth import AuthOptions

PAGE = PAGES["docs/identity.md"]
PACKAGE = Path(walkie_signal.__file__).parent
SOURCES = [*PACKAGE.glob("auth/*.py"), PACKAGE / "node" / "revoking.py"]


@pytest.mark.promise("Hosts", "Each reason why a token is refused is explained")
def test_each_reason_is_explained_and_no_other() -> None:
    written = {
        reason
        for path in SOURCES
        for reason in re.findall(r'CredentialRefused\("([^"]+)"\)', path.read_text("utf-8"))
    }
    explained = {
        reason
        for reason, _ in PAGE.table("`connect refused: unauthorized, …`", "What to do")
        for reason in re.findall(r"`([^`]+)`", reason)
    }
    assert explained == written | {*REASONS.values(), MALFORMED}


def test_the_page_names_where_each_key_comes_from() -> None:
    keys = {"jwt_secret_file", "jwt_previous_secret", "jwt_public_key", "jwt_jwks_url"}
    assert keys < {each.name for each in fields(AuthOptions)}
    for name in keys:
        assert f"`--{name.replace('_', '-')}`" in PAGE.text
