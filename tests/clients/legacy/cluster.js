// The legacy server as one node of several: the same file, its Socket.IO with the Redis adapter.
const socketio = require('socket.io'), { createAdapter } = require('@socket.io/redis-adapter'), { createClient } = require('redis');
const publisher = createClient({ url: process.env.REDIS_URL }), subscriber = publisher.duplicate();
socketio.Server = class extends socketio.Server {
  constructor(...options) {
    super(...options);
    this.adapter(createAdapter(publisher, subscriber));
  }
};
Promise.all([publisher.connect(), subscriber.connect()]).then(() => require('./server.js'));
