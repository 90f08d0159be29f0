// A host with rooms of its own on Node, as one node of several: Socket.IO with the Redis adapter.
const { createServer } = require('http'), { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-adapter'), { createClient } = require('redis');
const publisher = createClient({ url: process.env.REDIS_URL }), subscriber = publisher.duplicate();
const web = createServer(), io = new Server(web, { adapter: createAdapter(publisher, subscriber) });
io.on('connection', socket => {
  socket.on('enter', room => {
    socket.join(room);
    socket.emit('entered');
  });
  socket.on('shout', (room, data) => socket.to(room).emit('shout', data));
});
Promise.all([publisher.connect(), subscriber.connect()]).then(() => web.listen(process.env.PORT, '127.0.0.1', () => console.log('ready')));
