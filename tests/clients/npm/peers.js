// What the scripts share: stock peers that keep what they hear, and a link to the server that can be cut.
'use strict';
const net = require('net');

const WITHIN_MS = 30_000; // a peer that went silent over polling is noticed by its pings alone
const TRANSPORTS = {
  polling: ['polling'],
  websocket: ['websocket'],
  upgrade: ['polling', 'websocket'],
  either: ['polling', 'websocket'], // as upgrade, where something on the way may let no WebSocket through
};

// A URL with a path is that of an endpoint: stock peers take its path apart from it.
function endpoint(url) {
  const { origin, pathname } = new URL(url);
  return pathname === '/' ? [origin, {}] : [origin, { path: pathname }];
}

// Resolves once `check` is true, looking again after each `poke`; fails with what `seen` shows.
class Watch {
  constructor(seen) {
    this.seen = seen;
    this.waiting = new Set();
  }

  poke() {
    for (const look of this.waiting) look();
  }

  until(what, check, within = WITHIN_MS) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = check();
        if (!found) return;
        clearTimeout(timer);
        this.waiting.delete(look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.waiting.delete(look);
        reject(new Error(`no ${what} within ${within} ms; seen: ${JSON.stringify(this.seen())}`));
      }, within);
      this.waiting.add(look);
      look();
    });
  }
}

class Peer {
  // `transports` is a key of TRANSPORTS; `library` the npm package to take `io` from.
  constructor(name, url, transports, { library = 'socket.io-client', ...options } = {}) {
    this.name = name;
    this.transports = transports;
    this.heard = []; // [event, ...arguments], in the order of arrival
    this.states = []; // connect, disconnect and connect_error, each with its reason
    this.spaced = []; // frames with white space between the tokens of their JSON
    this.ids = []; // one for each connection
    this.watch = new Watch(() => ({ name, heard: this.heard, states: this.states }));
    const { io } = require(library);
    const [origin, path] = endpoint(url);
    this.socket = io(origin, { forceNew: true, transports: TRANSPORTS[transports], ...path, ...options });
    this.socket.on('connect', () => this.#connected());
    for (const state of ['disconnect', 'connect_error'])
      this.socket.on(state, reason => this.#note([state, reason.message ?? reason]));
    this.socket.onAny((...event) => {
      this.heard.push(event);
      this.watch.poke();
    });
  }

  get id() {
    return this.socket.id;
  }

  get transport() {
    return this.socket.io.engine.transport.name;
  }

  #connected() {
    this.ids.push(this.socket.id);
    this.socket.io.engine.on('packet', ({ data }) => {
      if (typeof data === 'string' && /\s/.test(data.replace(/"(?:[^"\\]|\\.)*"/g, ''))) this.spaced.push(data);
    });
    this.socket.io.engine.on('upgrade', () => this.watch.poke());
    this.#note(['connect']);
  }

  #note(state) {
    this.states.push(state);
    this.watch.poke();
  }

  // Resolves when this peer has connected `times` times and, where it may upgrade, has done so.
  async connected(times = 1) {
    await this.until(`connection ${times}`, () => this.ids.length === times && this.socket.connected);
    if (this.transports === 'upgrade') await this.until('upgrade', () => this.transport === 'websocket');
    return this;
  }

  until(what, check, within) {
    return this.watch.until(what, check, within);
  }

  // Resolves with the first `event` heard from position `from` on whose payload satisfies `check`.
  hears(event, check = () => true, from = 0) {
    return this.until(event, () => this.heard.slice(from).find(([name, payload]) => name === event && check(payload)));
  }

  emit(...event) {
    this.socket.emit(...event);
  }

  // Resolves with what the server acks; `ackedAfter` is then how many events had been heard before the ack.
  ask(...event) {
    return new Promise((resolve, reject) => {
      const late = new Error(`no ack of ${event[0]} within ${WITHIN_MS} ms; states: ${JSON.stringify(this.states)}`);
      const timer = setTimeout(() => reject(late), WITHIN_MS);
      this.socket.emit(...event, answer => {
        clearTimeout(timer);
        this.ackedAfter = this.heard.length;
        resolve(answer);
      });
    });
  }
}

// A TCP relay in front of `url`: from `cut()` to `mend()` nothing goes through it, as when a network is lost.
async function link(url) {
  const { hostname, port, pathname } = new URL(url);
  const open = new Set();
  let whole = true;
  const relay = net.createServer(near => {
    if (!whole) return near.destroy();
    const far = net.connect(+port, hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      open.add(from);
      from.on('error', () => {}).on('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise(ready => relay.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${relay.address().port}${pathname}`,
    cut() {
      whole = false;
      for (const socket of open) socket.destroy();
    },
    mend() {
      whole = true;
    },
  };
}

const print = record => process.stdout.write(JSON.stringify(record) + '\n');

// Runs `main` with the command line's arguments, prints the record it returns, and ends the process.
function run(main) {
  main(...process.argv.slice(2)).then(
    record => process.stdout.write(JSON.stringify(record) + '\n', () => process.exit(0)),
    error => process.stdout.write(`${error.stack}\n`, () => process.exit(1)),
  );
}

module.exports = { Peer, link, print, run };
