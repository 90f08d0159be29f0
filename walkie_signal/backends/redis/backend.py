"""The backend whose store is a Redis server."""

from __future__ import annotations

from walkie_signal.backends.redis.store import Store
from walkie_signal.backends.redis.uplink import Uplink
from walkie_signal.backends.shared.backend import StoredBackend
from walkie_signal.backends.shared.uplink import Node


class RedisBackend(StoredBackend):
    """Joins the nodes of one service by a Redis server.

    Args:
        url: The server, in redis-py's forms: ``redis://[[user]:password@]host[:port][/database]``, ``rediss://``
            for TLS, ``unix://path``; or its sentinels, ``redis+sentinel://host[,host]/service[/database]``.
        namespace: The Socket.IO namespace that the rooms belong to.
        prefix: The beginning of the names of all keys and channels.

    Raises:
        ValueError: `url` is not such a URL.
    """

    _uplink: Uplink
    _store: Store

    def __init__(self, url: str, *, namespace: str = "/", prefix: str = "walkie-signal") -> None:
        def connect(node: Node) -> tuple[Uplink, Store]:
            uplink = Uplink(url, node)
            return uplink, Store(prefix, namespace, uplink, node.incarnation)

        super().__init__(connect, namespace)
