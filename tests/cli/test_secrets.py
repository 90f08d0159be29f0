"""Which options are taken out of the command line: those that hold a secret, and no others."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module

import pytest

from walkie_signal.settings import ServeOptions

FIELDS = {each.name: each for each in fields(ServeOptions)}


@pytest.mark.parametrize(
    ("name", "value", "may_be_secret"),
    [
        ("redis_url", "redis://host", False),
        ("redis_url", "redis://user:password@host", True),
        ("backend", "machine:patrol", False),
        ("backend", "redis://user:password@host", True),
        ("jwt_secret", "one://with-the-look-of-a-url", True),
        ("jwt_secret", "", False),
        ("webhook", "https://example.com/of-which-the-path-is-secret", True),
        ("webhook", "", False),
        ("webhook_secret", "c2VjcmV0", True),
    ],
)
@pytest.mark.promise(
    "The command", "Tokens by a secret, a public key or a URL; a secret is never shown, by `ps` neither"
)
def test_what_may_be_a_secret_is_taken_out(name: str, value: str, may_be_secret: bool) -> None:  # noqa: FBT001
    module = import_module("walkie_signal.cli.serve")  # the package's attribute of that name is the command
    assert FIELDS[name].metadata["secret"]
    assert module._may_be_secret(FIELDS[name], {name: value}) is may_be_secret
