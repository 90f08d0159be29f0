"""The backend whose store is a Redis server."""

from __future__ import annotations

import hashlib
from pathlib import Path

from walkie_signal.backends.redis.store import Store
from walkie_signal.backends.redis.uplink import Uplink
from walkie_signal.backends.shared.backend import StoredBackend
from walkie_signal.backends.shared.uplink import Node
from walkie_signal.runtime_folder import folder, make_ours
from walkie_signal.unix_sockets import remove_left_folders


class RedisBackend(StoredBackend):
    """Joins the nodes of one service by a Redis server.

    Args:
        url: The server, in redis-py's forms: ``redis://[[user]:password@]host[:port][/database]``, ``rediss://``
            for TLS, ``unix://path``; or its sentinels, ``redis+sentinel://host[,host]/service[/database]``.
        namespace: The Socket.IO namespace that the rooms belong to.
        prefix: The beginning of the names of all keys and channels.
        mesh: Whether nodes of one machine send one another signals by Unix sockets, past Redis, if they can.

    Raises:
        ValueError: `url` is not such a URL.
    """

    _uplink: Uplink
    _store: Store

    def __init__(
        self, url: str, *, namespace: str = "/", prefix: str = "walkie-signal", mesh: bool = True
    ) -> None:
        def connect(node: Node) -> tuple[Uplink, Store]:
            uplink = Uplink(url, node)
            return uplink, Store(prefix, namespace, uplink, node.incarnation)

        def meets() -> Path:
            where, base = f"{self._uplink.address} {prefix} {namespace}", folder()
            remove_left_folders(base, "r-*")
            return make_ours(base / f"r-{hashlib.sha256(where.encode()).hexdigest()[:12]}")

        super().__init__(connect, namespace, meets if mesh else None)
