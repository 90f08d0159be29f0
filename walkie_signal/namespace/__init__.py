"""The adapter to python-socketio: it takes events and sends texts. It works on any `socketio.AsyncServer`."""

from walkie_signal.namespace.namespace import Options, SignalingNamespace, facts_of
from walkie_signal.namespace.stock import transport_of

__all__ = ["Options", "SignalingNamespace", "facts_of", "transport_of"]
