"""Every setting, its default, its bounds and its text, in one place.

There are two rules for this folder: a setting is a field of one group, and whatever shows, reads or checks it is
made from that field; beside each default is its reason.

`Settings` are those of a signaling server wherever it runs. They are made of groups, with a module for each; code
that needs one group takes only that. `ServeOptions` are those that only the command ``walkie-signal serve`` has.
The command's options, the names in its environment and the settings page are made from the fields.

    rooms      how large rooms are, and how long names      limits   what one peer may send
    pacing     how often a room is told                     host     how the host's functions are called
    transport  connections: pings, what waits, the end      store    what nodes share
    auth       the tokens that `serve` lets in            webhook  whom it tells what happens
    identity   how many connections a user may have, and who was revoked
    signaling  all of these together                        serve    what only the command has

    declaration   how a setting is declared and checked
    forms         what strings may look like
"""

from __future__ import annotations

from walkie_signal.settings.serve import ServeOptions
from walkie_signal.settings.signaling import Settings

__all__ = ["ServeOptions", "Settings"]
