"""Environment variables that look like ours but that no option reads: most likely they are mistyped."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_.+)?)")
"""Variables that Kubernetes sets in each pod for a Service whose name begins like our variables."""

SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""The beginning of the value of such a Service's variable whose name ends with only ``_PORT``."""


def unread_variables(environ: Mapping[str, str], prefix: str, known: Collection[str]) -> Iterator[str]:
    """Return a line for each variable with our prefix that is not known, without its value: it may be secret."""
    for name, value in sorted(environ.items()):
        if not name.startswith(prefix) or name in known:
            continue
        if SERVICE_LINK.fullmatch(name) or SERVICE_ADDRESS.match(value):
            continue
        ends = [each.removeprefix(prefix) for each in known]
        near = get_close_matches(name.removeprefix(prefix), ends, n=1)
        hint = (
            f"did you mean {prefix}{near[0]}?" if near else "walkie-signal serve --help lists those that are"
        )
        yield f"{name} is not read by any option; {hint}"
