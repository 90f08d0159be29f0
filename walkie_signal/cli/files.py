"""Reads the files that options name."""

from __future__ import annotations

from pathlib import Path

import click


def content_of(path: str, option: str) -> str:
    """Return the text of a file that an option names; an empty text if the option was not given.

    Raises:
        click.UsageError: The file can't be read, is not a text, or is empty.
    """
    if not path:
        return ""
    try:
        content = Path(path).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise click.UsageError(
            f"{option}: {path}: {getattr(error, 'strerror', None) or 'not a text'}"
        ) from None
    if not content.strip():
        raise click.UsageError(f"{option}: {path} is empty")
    return content
