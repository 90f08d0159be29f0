// One script of stock peers, run against the legacy server and against its successor: prints who heard what in each step.
//   node parity.js URL polling|websocket|upgrade|either
'use strict';
const { Peer, link, run } = require('./peers.js');

const SDP = 'v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\n';
const candidate = n => ({ candidate: `candidate:${n} 1 udp 2122260223 192.0.2.${n} 5000${n} typ host`, sdpMid: '0', sdpMLineIndex: 0 });
const ODD = [undefined, null, false, 0, -1.5, 1e-7, '', 'pos jaga \u2013 \u00e9\u{1f600} "kutip" \\ \u2028', [], {}, [[1, { b: 2, a: [] }]], { fromId: 'me' }];

class Script {
  constructor(url, transports) {
    this.url = url;
    this.transports = transports;
    this.peers = new Map();
    this.rooms = new Map(); // room → Map of peer → what it joined with, in the order of joining
    this.steps = [];
    this.fences = 0;
  }

  async peer(name, url = this.url) {
    const peer = new Peer(name, url, this.transports, { reconnection: false });
    this.peers.set(name, peer);
    return peer.connected();
  }

  join(peer, room, identity) {
    peer.emit('join_room', { room, ...identity });
    if (!this.rooms.has(room)) this.rooms.set(room, new Map());
    this.rooms.get(room).set(peer, identity);
  }

  gone(peer, room) {
    this.rooms.get(room).delete(peer);
  }

  // Does `action`, then waits until `changed` rooms have settled and each member has heard all that was sent to it.
  async step(name, changed, action) {
    const marks = new Map([...this.peers.values()].map(peer => [peer, peer.heard.length]));
    const since = peer => peer.heard.slice(marks.get(peer) ?? 0);
    await action(since);
    for (const room of changed) for (const peer of this.rooms.get(room).keys()) await this.#settled(peer, room, since);
    await this.#fence();
    const heard = {};
    for (const [key, peer] of this.peers) heard[key] = since(peer).filter(([, payload]) => !payload?.signal?.fence);
    this.steps.push({ step: name, heard });
  }

  // The last roster is awaited, however many came before it: the successor sends few where much changes at once.
  async #settled(peer, room, since) {
    const sorted = members => members.map(({ userId, role }) => JSON.stringify([userId, role])).sort().join();
    const wanted = sorted([...this.rooms.get(room).values()]);
    await peer.until(`room_status with ${wanted}`, () => {
      const last = since(peer).filter(([event]) => event === 'room_status').pop();
      return last && sorted(last[1].members) === wanted;
    });
  }

  // A signal to oneself comes after all that was under way to that peer.
  async #fence() {
    const fence = ++this.fences;
    for (const room of this.rooms.values())
      for (const peer of room.keys()) {
        peer.emit('signal', { targetId: peer.id, signal: { fence } });
        await peer.hears('signal', ({ signal }) => signal?.fence === fence);
      }
  }

  async signals(from, to, signals, since) {
    for (const signal of signals) from.emit('signal', { targetId: to.id, signal });
    await to.until(`${signals.length} signals`, () => since(to).filter(([event]) => event === 'signal').length >= signals.length);
  }

  // Ids differ from run to run: each becomes its peer's name and the number of its connection.
  transcript() {
    const names = new Map();
    for (const { name, ids } of this.peers.values()) ids.forEach((id, n) => names.set(id, `${name}.${n + 1}`));
    const peers = [...this.peers.values()];
    const spaced = peers.flatMap(peer => peer.spaced);
    const transports = [...new Set(peers.filter(peer => peer.socket.connected).map(peer => peer.transport))];
    return JSON.parse(JSON.stringify({ steps: this.steps, spaced, transports }, (_, value) => names.get(value) ?? value));
  }
}

run(async (url, transports) => {
  const script = new Script(url, transports);
  const wire = await link(url);
  const [ann, bob, dan, eve] = [await script.peer('ann'), await script.peer('bob'), await script.peer('dan'), await script.peer('eve')];
  const cat = await script.peer('cat', wire.url);

  await script.step('first join, role and userId', ['gate'], () => script.join(ann, 'gate', { role: 'guard', userId: 'u-1' }));
  await script.step('join with neither', ['gate'], () => script.join(bob, 'gate', {}));
  await script.step('join with a role only', ['gate'], () => script.join(cat, 'gate', { role: 'supervisor \u{1f9ba}' }));
  await script.step('join another room, integer userId only', ['yard'], () => script.join(dan, 'yard', { userId: 7 }));
  await script.step('join with an empty role and userId 0', ['yard'], () => script.join(eve, 'yard', { role: '', userId: 0 }));
  await script.step('offer', [], since => script.signals(ann, bob, [{ type: 'offer', sdp: SDP }], since));
  await script.step('answer', [], since => script.signals(bob, ann, [{ type: 'answer', sdp: SDP }], since));
  await script.step('candidates both ways', [], since =>
    Promise.all([
      script.signals(ann, bob, [1, 2, 3].map(candidate), since),
      script.signals(bob, ann, [4, 5, 6].map(candidate), since),
    ]));
  await script.step('any JSON value is a signal', [], since => script.signals(eve, dan, ODD, since));
  await script.step('a signal to oneself', [], since => script.signals(cat, cat, [{ type: 'echo' }], since));
  await script.step('rejoin with another role', ['gate'], () => script.join(cat, 'gate', { role: 'lead', userId: 'u-3' }));
  await script.step('rejoin with the userId gone', ['yard'], () => script.join(dan, 'yard', { role: 'guard' }));
  await script.step('a clean disconnect', ['gate'], () => {
    bob.socket.disconnect();
    script.gone(bob, 'gate');
  });
  await script.step('a signal to one who is gone', [], () => ann.emit('signal', { targetId: bob.ids[0], signal: 'late' }));
  await script.step('a lost connection', ['gate'], () => {
    wire.cut();
    script.gone(cat, 'gate');
  });
  const fay = await script.peer('fay');
  await script.step('a late joiner that signals at once', ['gate'], async since => {
    script.join(fay, 'gate', { role: 'guard', userId: -12 });
    await script.signals(fay, ann, ['here', 'now'], since);
  });
  await script.step('back on a new connection, join sent before it is there', ['gate'], async () => {
    bob.socket.connect();
    script.join(bob, 'gate', { userId: 9007199254740991 });
    await bob.connected(2);
  });
  await script.step('the call goes on under the new id', [], since => script.signals(ann, bob, [{ type: 'offer', sdp: SDP }], since));
  await script.step('a room is left to one', ['yard'], () => {
    eve.socket.disconnect();
    script.gone(eve, 'yard');
  });
  await script.step('a room is left empty', ['yard'], () => {
    dan.socket.disconnect();
    script.gone(dan, 'yard');
  });
  await script.step('and entered anew', ['yard'], async () => {
    dan.socket.connect();
    await dan.connected(2);
    script.join(dan, 'yard', { userId: 7 });
  });
  return script.transcript();
});
