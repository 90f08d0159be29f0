// Two peers call one another, one of them loses its network, reconnects by itself and is called again.
//   node call.js URL polling|websocket|upgrade LIBRARY
'use strict';
const { Peer, link, run } = require('./peers.js');

const signals = peer => peer.heard.filter(([event]) => event === 'signal').map(([, payload]) => payload);

async function call(from, to) {
  const before = signals(to).length;
  const back = signals(from).length;
  const acks = await Promise.all([
    from.ask('signal', { targetId: to.id, signal: { type: 'offer' } }),
    ...[1, 2, 3].map(n => from.ask('signal', { targetId: to.id, signal: { candidate: n } })),
  ]);
  await to.until('an offer and its candidates', () => signals(to).length === before + 4);
  acks.push(await to.ask('signal', { targetId: from.id, signal: { type: 'answer' } }));
  await from.until('the answer', () => signals(from).length === back + 1);
  return { from: from.id, to: to.id, acks, heard: [...signals(to).slice(before), ...signals(from).slice(back)] };
}

run(async (url, transports, library) => {
  const wire = await link(url);
  const ann = await new Peer('ann', url, transports, { library }).connected();
  const bob = await new Peer('bob', wire.url, transports, { library }).connected();
  const joins = [await ann.ask('join_room', { room: 'gate', role: 'guard' }), await bob.ask('join_room', { room: 'gate', userId: 'u-2' })];
  const calls = [await call(ann, bob)];

  wire.cut();
  await bob.until('disconnect', () => !bob.socket.connected);
  wire.mend();
  await bob.connected(2);
  joins.push(await bob.ask('join_room', { room: 'gate', userId: 'u-2' }));
  await ann.hears('new_peer', ({ peerId }) => peerId === bob.id);
  await ann.hears('peer_disconnected', ({ peerId }) => peerId === bob.ids[0]);
  calls.push(await call(ann, bob), await call(bob, ann));
  return { ann: ann.ids, bob: bob.ids, joins, calls, states: { ann: ann.states, bob: bob.states } };
});
