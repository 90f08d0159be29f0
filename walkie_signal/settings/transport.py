"""Connections: whether their other end lives, what comes and waits on them, and how they end."""

from __future__ import annotations

from dataclasses import dataclass

from walkie_signal.settings.declaration import Group, setting


@dataclass(frozen=True, kw_only=True)
class TransportSettings(Group):
    """The times and bounds of a connection."""

    ping_interval: float = setting(
        10.0,
        "Time between two pings to a peer.",
        unit="seconds",
        above=0,
        reason="With `ping_timeout`, a silent peer is noticed after 18 s: LiveKit needs 15, Centrifugo 25 + 8, "
        "python-socketio and socket.io 25 + 20, far too long for a walkie-talkie.",
    )
    ping_timeout: float = setting(
        8.0,
        "How long a peer has to answer a ping.",
        unit="seconds",
        above=0,
        reason="Centrifugo's; a phone that leaves a Wi-Fi for its mobile network is silent for some seconds.",
    )
    drain_spread: float = setting(
        5.0,
        "Time over which the peers of a closing server are told to come back, so that not all do so at once.",
        unit="seconds",
        least=0,
        reason="What socket.io's clients wait at most by themselves (`reconnectionDelayMax`).",
    )
    connect_timeout: float = setting(
        10.0,
        "How long a connection may take to join the namespace.",
        unit="seconds",
        above=0,
        reason="Centrifugo's `stale_close_delay`, which was 25 s before; socket.io's `connectTimeout` is 45 s.",
    )
    max_http_buffer_size: int = setting(
        1_000_000,
        "Largest frame or request body.",
        unit="bytes",
        least=1024,
        reason="socket.io's and python-socketio's: clients read it in the OPEN packet, and fill polls up to it.",
    )
    outbox_bytes: int = setting(
        1 << 20,
        "How much may wait for a peer that does not read before it is closed.",
        unit="bytes",
        least=1024,
        reason="Centrifugo's `queue_max_size`; python-engineio has no bound, and held 27 MB for one peer.",
    )
    outbox_messages: int = setting(
        1000,
        "How many messages may wait for such a peer.",
        least=1,
        reason="A peer that joins a full room is told of 999 others at once.",
    )
    stall_timeout: float = setting(
        10.0,
        "How long messages may wait for a peer without progress before it is closed.",
        unit="seconds",
        above=0,
        reason="nextcloud-spreed-signaling gives a write 10 s, Centrifugo 1 s. A phone without a network for "
        "longer than this has missed its pongs too.",
    )
    half_open: int = setting(
        8192,
        "How many connections may have joined nothing yet; 0 for any number.",
        least=0,
        reason="After a restart some 10,000 come back within `drain_spread`, and each needs a round trip or two. "
        "One takes some 10 KB, for `connect_timeout` at most.",
    )
    half_open_per_address: int = setting(
        1024,
        "How many of these may come from one address; 0 for any number. Of an IPv6 address its network of 64 bits "
        "counts. All who come by a proxy that is not trusted have the proxy's.",
        least=0,
        reason="An office has hundreds behind one address, who come back at once when its network does.",
    )
    connections_per_address: int = setting(
        0,
        "How many connections one address may have; 0 for any number.",
        least=0,
        reason="Carriers put thousands of phones behind one address.",
    )
