// Peers that do what the test says, one thing after the other: prints each answer, and all that was heard.
//   node ask.js URL polling|websocket|upgrade STEPS
// STEPS is JSON, a list of {peer, emit: [event, ...arguments], ack?, hears?}: with `ack` the answer is the ack, with
// `hears` it is the next event of that name at that peer. "@name" stands for that peer's id, {"$text": n} for a text of
// n letters, {"$bytes": n} for binary.
'use strict';
const { Peer, run } = require('./peers.js');

run(async (url, transports, json) => {
  const steps = JSON.parse(json);
  const peers = new Map();
  for (const { peer } of steps) if (!peers.has(peer)) peers.set(peer, await new Peer(peer, url, transports).connected());
  const filled = value => {
    if (typeof value === 'string' && value.startsWith('@')) return peers.get(value.slice(1)).id;
    if (Array.isArray(value)) return value.map(filled);
    if (value?.$text) return 'x'.repeat(value.$text);
    if (value?.$bytes) return Buffer.alloc(value.$bytes);
    if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, filled(v)]));
    return value;
  };
  const answers = [];
  for (const { peer: name, emit, ack, hears } of steps) {
    const peer = peers.get(name);
    const from = peer.heard.length;
    const event = filled(emit);
    if (ack) {
      const answer = await peer.ask(...event);
      answers.push({ answer, before: peer.heard.slice(from, peer.ackedAfter).map(([event]) => event) });
    } else {
      peer.emit(...event);
      if (hears) answers.push({ answer: (await peer.hears(hears, () => true, from))[1] });
    }
  }
  const all = [...peers.values()];
  return {
    answers,
    ids: Object.fromEntries(all.map(peer => [peer.name, peer.id])),
    heard: Object.fromEntries(all.map(peer => [peer.name, peer.heard])),
    states: Object.fromEntries(all.map(peer => [peer.name, peer.states])),
  };
});
