"""Many nodes as one service, by a Redis server that orders the changes of each room.

    backend    the port of a node, whose store this is
    uplink     the way to Redis           pairs   its two connections       wire   one of them
    server     which server, and whether we can use it   address   read from a URL   dial, sentinels   finding it
    rights     what Redis lets us do
    store/     what Redis keeps and does for the nodes: only there are names and arguments of scripts known
    scripts/   what Redis does in one step

What a node does with any store is in `shared`. There is one rule for this folder: each key has an owner that
removes it, and expires when the owner is gone.
"""

try:
    import hiredis as _hiredis
    import redis as _redis
except ImportError as error:
    raise ImportError(
        "a Redis backend needs redis and hiredis: pip install 'walkie-signal[redis]'"
    ) from error

from walkie_signal.backends.redis.backend import RedisBackend

__all__ = ["RedisBackend"]

del _hiredis, _redis
