"""Where the parts of the package are, and what each may import."""

from __future__ import annotations

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("settings",),
    ("arity", "bounded_log", "forks", "runtime_folder", "turns", "wire"),
    ("file_locks", "unix_sockets"),
    ("supervisors",),
    ("core", "direct"),
    ("auth", "backends", "clock", "host", "ice", "metrics", "refusal_log"),
    ("node", "webhook"),
    ("namespace", "transport"),
    ("emitter", "web"),
    ("asgi",),
    ("",),  # the package itself: what it exports
    ("cli",),
    ("__main__",),
)
"""Each part of the package may import those of the lines above it. Parts of one line don't know one another."""

ROOMS: dict[str, tuple[tuple[str, ...], ...]] = {
    "settings": (
        ("declaration", "forms"),
        ("auth", "host", "identity", "limits", "pacing", "rooms", "store", "transport", "webhook"),
        ("serve", "signaling"),
    ),
    "wire": (("json", "values"), ("event_packets", "frames", "relays"), ("packets",)),
    "core": (
        ("addresses", "early", "emits", "identity", "leases", "limits", "origins", "pacing", "transitions"),
        ("own_rooms", "ports", "values", "wheel"),
        ("changes", "peer_events", "revocations"),
        ("facts", "payloads", "replicas", "rooms"),
        ("deliveries", "ledger", "registry"),
    ),
    "direct": (
        ("closing", "draining", "framing", "handshake", "inbox", "owner", "picows", "rules"),
        ("bounds", "frames"),
        ("http", "protocol"),
    ),
    "backends": (
        ("base", "nobody", "urls"),
        ("memory", "shared", "swaps"),
        ("machine", "redis", "revocation_table"),
        ("named",),
    ),
    "backends.machine": (
        ("book", "folder", "frames", "others"),
        ("alone", "groups"),
        ("keeper",),
        ("link",),
        ("uplink",),
        ("store",),
        ("backend",),
    ),
    "backends.shared": (
        (
            "format",
            "in_order",
            "incarnation",
            "lifetime",
            "outage",
            "screen",
            "states",
            "store",
            "uplink_states",
        ),
        ("messages", "records"),
        ("copies", "mesh_ends", "uplink"),
        ("followed", "ways"),
        ("backlogs", "healing", "mesh"),
        ("directory", "rooms", "values"),
        ("heart", "host_rooms", "mail"),
        ("host_mail",),
        ("others",),
        ("backend",),
    ),
    "backends.redis": (
        ("address", "wire"),
        ("dial", "rights", "scripts"),
        ("sentinels",),
        ("server",),
        ("pairs",),
        ("uplink",),
        ("store",),
        ("backend",),
    ),
    "backends.redis.scripts": (("script",), ("nodes", "rooms")),
    "backends.redis.store": (
        ("names", "strange"),
        ("keys",),
        ("channels", "nodes", "places", "rooms", "values"),
    ),
    "node": (
        ("census", "hooks", "peers", "siblings"),
        ("announcements", "answers", "fanout", "limits"),
        ("leaving", "rosters", "signals", "single", "verifying"),
        ("early",),
        ("joining", "parting"),
        ("revoking",),
        ("orders", "refreshing", "site"),
        ("gate",),
        ("node",),
    ),
    "namespace": (("binding", "credentials", "stock"), ("adapter",), ("namespace",)),
    "transport": (("beneath", "engineio"), ("workers",), ("socketio",)),
    "transport.engineio": (
        ("census", "http", "outbox", "states", "sweep"),
        ("carriers", "cors", "crowd"),
        ("connection",),
        ("alone", "polling", "websocket"),
        ("direct", "lingering"),
        ("doors",),
        ("server",),
        ("farewells",),
    ),
    "transport.workers": (("folder", "pipes"), ("carriage", "doorway"), ("hand_over",)),
    "transport.socketio": (
        ("calls", "events", "pending", "sockets"),
        ("audience",),
        ("emits", "joins"),
        ("handling",),
        ("connections",),
        ("server",),
    ),
    "emitter": (("awaited",), ("threads",), ("blocking",)),
    "auth": (("tokens",), ("claims", "keys"), ("remote", "signing"), ("jwt",)),
    "web": (("probes",),),
    "webhook": (
        ("backlog", "events", "outcomes", "receiver", "signing", "windows"),
        ("post",),
        ("sender",),
    ),
    "cli": (
        (
            "descriptors",
            "files",
            "listeners",
            "logs",
            "options",
            "protocols",
            "proxies",
            "times",
            "variables",
        ),
        ("secrets", "verifiers", "webhooks"),
        ("serving", "token"),
        ("workers",),
        ("serve",),
    ),
}
"""The same inside each folder. So there is no circle of imports, and those for types only count too."""

KNOWN_TO: dict[str, tuple[str, ...]] = {
    "backends.redis.store.names": ("backends.redis.store",),
    "backends.redis.scripts": (
        "backends.redis.scripts",
        "backends.redis.pairs",
        "backends.redis.uplink",
        "backends.redis.store",
    ),
}
"""What only some places may import: the names of keys, and the scripts, whose arguments only the store knows."""

DIRECT_KNOWS = ("bounded_log",)
"""All of the package that `direct` may import."""

LIBRARIES = {
    "click": ("cli",),
    "cryptography": ("auth",),
    "engineio": ("asgi", "namespace", "transport"),
    "h11": ("direct",),
    "hiredis": ("backends.redis",),
    "jwt": ("auth",),
    "orjson": ("wire.json",),
    "picows": ("direct",),
    "prometheus_client": ("metrics",),
    "redis": ("backends.redis",),
    "socketio": ("asgi", "namespace", "transport"),
    "uvicorn": ("cli", "direct"),
    "uvloop": ("cli",),
    "websockets": ("direct",),
}
"""Where each library is known; typing_extensions is Python's own, early, and known everywhere."""
