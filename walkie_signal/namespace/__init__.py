"""The adapter to python-socketio: it takes events and sends texts. It works on any `socketio.AsyncServer`."""

from walkie_signal.namespace.namespace import Options, SignalingNamespace

__all__ = ["Options", "SignalingNamespace"]
