"""The command ``walkie-signal``: one file for each of its commands, loaded when it is called."""

from __future__ import annotations

import click

from walkie_signal import __version__
from walkie_signal.cli.serve import serve
from walkie_signal.cli.token import token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="walkie-signal")
def main() -> None:
    """WebRTC signaling over Socket.IO."""


main.add_command(serve)
main.add_command(token)
