// Peers that print all that their users see, a line of JSON for each thing: [name, what, ...arguments].
//   node watched.js LIBRARY PEERS
// PEERS is JSON, a list of {name, url, transport, tokens?, on?}: each connection shows the next of the tokens, and in the
// end the last one again and again; `on` has, by what is seen, the {emit: [event, payload], ack?, times?} to send the
// first time. Of a connect_error the data is printed, and a text.
'use strict';
const { print } = require('./peers.js');

const EAGER = { reconnectionDelay: 50, reconnectionDelayMax: 50, randomizationFactor: 0 };
const [library, peers] = process.argv.slice(2);
const { io } = require(library);

for (const { name, url, transport, tokens = [], on = {} } of JSON.parse(peers)) {
  const auth = done => done({ token: tokens.length > 1 ? tokens.shift() : tokens[0] });
  const socket = io(url, { forceNew: true, transports: [transport], auth, ...EAGER });
  const saw = (what, ...details) => {
    print([name, what, ...details]);
    const sent = on[what] ?? [];
    delete on[what];
    for (const { emit, ack, times = 1 } of sent)
      for (let i = 0; i < times; i++)
        socket.emit(...emit, ...(ack ? [answer => print([name, 'ack', emit[0], answer])] : []));
  };
  socket.on('connect', () => saw('connect'));
  socket.on('disconnect', reason => saw('disconnect', reason));
  socket.on('connect_error', ({ message, data = null, description = '' }) =>
    saw('connect_error', data, `${message} ${description}`.trim()));
  for (const event of ['signal_error', 'token_expired']) socket.on(event, payload => saw(event, payload));
}
