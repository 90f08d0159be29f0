// A stock peer that joins a room and prints each thing that happens to it, until it is ended.
//   node victim.js URL polling|websocket|upgrade ROOM
'use strict';
const { Peer, print } = require('./peers.js');

const [url, transports, room] = process.argv.slice(2);
const peer = new Peer('victim', url, transports, { reconnection: false });
peer.socket.on('disconnect', reason => print({ event: 'disconnect', payload: reason }));
peer.socket.onAny((event, payload) => print({ event, payload }));
peer.connected().then(async () => {
  peer.emit('join_room', { room });
  await peer.hears('room_status');
  print({ event: 'joined', payload: peer.id });
});
