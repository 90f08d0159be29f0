"""What stands in for python-socketio's lists of sids, which it searches at each connect and disconnect."""

from __future__ import annotations

from collections.abc import Iterable


class Sids(set[str]):
    """A set in place of a list, so it has a list's method."""

    append = set.add


class Pending(dict[str, Sids]):
    """The sids that are connecting or disconnecting, by namespace."""

    def __setitem__(self, namespace: str, sids: Iterable[str]) -> None:
        super().__setitem__(namespace, Sids(sids))
