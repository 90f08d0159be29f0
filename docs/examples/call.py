"""A call between Python programs: they meet in a room, then talk by WebRTC, directly.

Set up and start a server; then run this file in two more terminals, with two names::

    pip install walkie-signal aiohttp aiortc
    walkie-signal serve
    python call.py --name alice
    python call.py --name bob

Each says hello on a data channel, plays a tone in place of a microphone, and prints what it hears. The
server hears none of this: it only relays an offer and an answer. The other end may also be a browser page
that sends ``{description}`` and ``{candidate}``, as pages on perfect negotiation show it.

Who offers? The server tells one peer of each pair that it is ``polite``, and the other that it is not. In
perfect negotiation both may offer; if two offers cross, the polite peer rolls its own back and takes the
other's. aiortc can't roll back, so here only the impolite peer offers, and it ignores an offer that crosses
its own.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
from array import array
from contextlib import suppress
from typing import Any

import socketio
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp


class Tone(AudioStreamTrack):
    """A hum of 400 Hz: the base class keeps the time and gives silence, which this class fills."""

    async def recv(self) -> Any:
        """Return the next 20 ms."""
        frame: Any = await super().recv()
        turns = [400 * number / frame.sample_rate for number in range(frame.samples)]
        wave = array("h", [int(8000 * math.sin(2 * math.pi * turn)) for turn in turns])
        frame.planes[0].update(wave.tobytes())
        return frame


class Call:
    """The connection to one peer of the room."""

    def __init__(self, sio: socketio.AsyncClient, name: str, peer_id: str, ice_servers: list[Any]) -> None:
        self.sio, self.name, self.peer_id = sio, name, peer_id
        # an empty list is passed on too: without any list aiortc asks a public STUN server
        servers = [RTCIceServer(**server) for server in ice_servers]
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self.pc.addTrack(Tone())
        self.pc.on("track", self.on_track)
        self.pc.on("datachannel", self.talk)

    async def offer(self) -> None:
        """Open the data channel and call the peer."""
        channel = self.pc.createDataChannel("chat")
        channel.on("open", lambda: self.talk(channel))
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await self.send_description()

    async def on_signal(self, value: dict[str, Any]) -> None:
        """Take what the peer sent: a description, or a candidate of a browser (aiortc's are in its SDP)."""
        if description := value.get("description"):
            offered = description["type"] == "offer"
            if offered and self.pc.signalingState != "stable":
                return  # it crossed our own offer, and we are the impolite peer
            await self.pc.setRemoteDescription(RTCSessionDescription(**description))
            if offered:
                await self.pc.setLocalDescription(await self.pc.createAnswer())
                await self.send_description()
        elif (ice := value.get("candidate")) and ice["candidate"]:  # an empty one ends a browser's list
            candidate = candidate_from_sdp(ice["candidate"].removeprefix("candidate:"))
            candidate.sdpMid, candidate.sdpMLineIndex = ice["sdpMid"], ice["sdpMLineIndex"]
            await self.pc.addIceCandidate(candidate)

    async def send_description(self) -> None:
        """Send our current offer or answer, with all our candidates in it."""
        ours = {"type": self.pc.localDescription.type, "sdp": self.pc.localDescription.sdp}
        ack = await self.sio.call("signal", {"targetId": self.peer_id, "signal": {"description": ours}})
        if not ack["ok"]:  # peer_not_found, if the peer left meanwhile
            print("not delivered:", ack["error"]["message"])

    def talk(self, channel: RTCDataChannel) -> None:
        """Say hello on the open channel, and print the messages that come."""
        channel.on("message", lambda text: print("data channel:", text))
        channel.send(f"hello from {self.name}")

    def on_track(self, track: MediaStreamTrack) -> None:
        """Listen to the peer's audio in the background."""
        self.listening = asyncio.create_task(self.listen(track))

    async def listen(self, track: MediaStreamTrack) -> None:
        """Print the loudness once a second."""
        with suppress(MediaStreamError):  # raised when the track ends
            while True:
                frames: list[Any] = [await track.recv() for _ in range(50)]
                loudest = max(max(array("h", bytes(frame.planes[0]))) for frame in frames)
                print(f"audio: {len(frames)} frames, loudest sample {loudest}")


async def main(url: str, room: str, name: str) -> None:
    """Join the room and be in a call with each peer there, until interrupted."""
    # Ctrl-C ends this function, which then hangs up; on Python 3.10 it would otherwise end aiortc's tasks first
    loop = asyncio.get_running_loop()
    this: Any = asyncio.current_task()
    signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(this.cancel))
    sio = socketio.AsyncClient(handle_sigint=False, reconnection=False)
    inbox: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    # the inbox keeps events in order: with handlers that await, a candidate could overtake its offer
    for event in ("new_peer", "signal", "peer_disconnected", "disconnect"):
        sio.on(event, lambda data, event=event: inbox.put_nowait((event, data)))
    await sio.connect(url)
    ack = await sio.call("join_room", {"room": room, "userId": name})
    if not ack["ok"]:
        raise SystemExit(ack["error"]["message"])
    print(f"in {room} as {ack['peerId']}")

    calls: dict[str, Call] = {}
    try:
        while (received := await inbox.get())[0] != "disconnect":
            match received:
                case "new_peer", {"peerId": peer_id, "polite": polite} if peer_id not in calls:
                    print("new peer, and I am", "polite" if polite else "impolite: I offer")
                    calls[peer_id] = Call(sio, name, peer_id, ack.get("iceServers", []))
                    if not polite:
                        await calls[peer_id].offer()
                case "signal", {"fromId": peer_id, "signal": value}:
                    await calls[peer_id].on_signal(value)
                case "peer_disconnected", {"peerId": peer_id, "reason": reason}:
                    print("peer gone:", reason)
                    await calls.pop(peer_id).pc.close()
        print("the server is gone")
    finally:
        await asyncio.gather(*(call.pc.close() for call in calls.values()))
        await sio.disconnect()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--room", default="patrol")
    parser.add_argument("--name", default="somebody")
    given = parser.parse_args()
    with suppress(asyncio.CancelledError):
        asyncio.run(main(given.url, given.room, given.name))
