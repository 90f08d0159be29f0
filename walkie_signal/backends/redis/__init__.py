"""Many nodes as one service, by a Redis server that orders the changes of each room.

    backend    the port, made of all the others; its life
    uplink     the way to Redis and its life             pairs   its two connections       wire   one of them
    server     which server, and whether we can use it   address   read from a URL   dial, sentinels   finding it
    rights     what Redis lets us do       outage     what the log says about a time without it
    store/     what Redis keeps and does for the nodes: only there are names and arguments of scripts known
    scripts/   what Redis does in one step               messages   the format of what it holds and publishes
    rooms      joining and leaving       healing   agreeing with Redis         values   the values beside rooms
    mail       what nodes send one another             directory   where peers and users are
    heart      leases, and the removal of dead nodes

What a node does with any store is in `shared`: its copies of rooms, and which node it is.

There are three rules for this folder: a request waits for Redis for at most `pairs.REPLY_TIMEOUT`; each key
has an owner that removes it, and expires when the owner is gone; no node is declared dead by an expiry.
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
