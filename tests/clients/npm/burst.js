// A burst of signals, sent in one turn of the loop, as a peer sends its ICE candidates: prints what arrived.
//   node burst.js URL polling|websocket|upgrade COUNT LIBRARY
'use strict';
const { Peer, run } = require('./peers.js');

const numbers = peer => peer.heard.filter(([event]) => event === 'signal').map(([, payload]) => payload.signal.n);

run(async (url, transports, count, library) => {
  const to = new Peer('to', url, transports, { library });
  const from = new Peer('from', url, transports, { library });
  for (const peer of [to, from]) await peer.until('connection', () => peer.ids.length);
  to.emit('join_room', { room: 'gate' });
  await to.hears('room_status');
  from.emit('join_room', { room: 'gate' });
  for (let n = 0; n < +count; n++) from.emit('signal', { targetId: to.id, signal: { n, candidate: 'c'.repeat(120) } });
  await to.until(`${count} signals`, () => numbers(to).length >= +count, 10_000);
  return { arrived: numbers(to), states: [...from.states, ...to.states] };
});
