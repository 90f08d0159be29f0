"""Every setting, its default, its bounds and its text, in one place.

There are two rules for this folder: a setting is a field of one group, and whatever shows, reads or checks it is
made from that field; beside each default is its reason.

`Settings` are those of a signaling server wherever it runs. They are made of groups, with a module for each; code
that needs one group takes only that. `ServeOptions` are those that only the command ``walkie-signal serve`` has.
The command's options, the names in its environment and the settings page of the documentation are made from the
fields.

    fields   how a setting is declared and checked
    forms    what strings may look like
"""

from __future__ import annotations

from walkie_signal.settings.serve import ServeOptions
from walkie_signal.settings.signaling import Settings

__all__ = ["ServeOptions", "Settings"]
