"""Many nodes as one service, by a Redis server that orders the changes of each room.

    backend    the port, put together; its life
    uplink     the two connections and their life      wire   one connection       rights   what Redis lets us do
    server     which server, and that it will do       address   of a URL          dial, sentinels   how it is found
    outage     what the log says of a time without it
    followed   the rooms that are followed       rooms   joining and leaving       healing   agreeing with Redis
    mail       what nodes send one another             directory   where peers and users are
    heart      leases, and the removal of the dead
    scripts, messages, names   what stands in Redis        strange   what others have written there

What holds in this folder: a request waits for Redis no longer than `uplink.REPLY_TIMEOUT`; each key has an owner
that removes it, and expires when the owner is gone; nobody is declared dead by an expiry.
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
