// A page that mounts, unmounts and mounts in one tick, as React's strict mode does, beside another namespace on the
// same connection: prints what either heard.
//   node remount.js URL polling|websocket|upgrade LIBRARY
'use strict';
const { Peer, run } = require('./peers.js');

run(async (url, transports, library) => {
  const other = await new Peer('other', `${url}`, transports, { library }).connected();
  const page = other.socket.io.socket('/page');
  const states = [];
  for (const state of ['connect', 'disconnect', 'connect_error'])
    page.on(state, () => { states.push(state); other.watch.poke(); });
  page.connect();
  page.disconnect();
  page.connect();
  await other.until('connection of the page', () => page.connected);
  const answered = await new Promise(resolve => page.emit('echo', 7, resolve));
  await other.ask('join_room', { room: 'gate' });
  return { answered, states, other: other.states };
});
