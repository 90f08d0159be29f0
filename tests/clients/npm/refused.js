// A client of an older protocol: prints the first event that tells it so, and when.
//   node refused.js URL polling|websocket LIBRARY
'use strict';
const { run } = require('./peers.js');

run((url, transport, library) => {
  const io = require(library);
  const began = Date.now();
  const socket = io(url, { forceNew: true, reconnection: false, transports: [transport] });
  return new Promise(resolve => {
    for (const event of ['connect', 'connect_error', 'error', 'connect_timeout'])
      socket.on(event, reason => resolve({ event, reason: String(reason), afterMs: Date.now() - began }));
  });
});
