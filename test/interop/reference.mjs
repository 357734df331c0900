// The Node server with the behaviour of engine/main.go: the reference that the tests of the engine
// are run against with ENGINE=reference, to see that they ask for nothing that is not Socket.IO.

import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Server } from 'socket.io';

const options = {};
for (const arg of process.argv.slice(2)) {
  const [, name, value] = /^-(\w+)=(\d+)(?:ms)?$/.exec(arg);
  options[name] = Number(value);
}
const { maxPayload, ackTimeout = 10_000, connectTimeout = 10_000, recovery, ...engine } = options;

const tell = (report) => process.stdout.write(`${JSON.stringify(report)}\n`);
const web = http.createServer(serve);
const io = new Server(web, { ...engine, connectTimeout, maxHttpBufferSize: maxPayload ?? 1_000_000, ...(recovery && { connectionStateRecovery: {} }) });
const heard = new Map();

for (const name of ['/', '/guarded', ...Array.from({ length: 9 }, (_, i) => `/${i + 1}`)]) {
  const nsp = io.of(name);
  if (name === '/guarded') nsp.use(guard);
  nsp.on('connection', (socket) => {
    tell({ what: 'connect', nsp: name, id: socket.id });
    socket.emit('welcome', socket.handshake.auth);
    socket.on('disconnect', (reason) => tell({ what: 'disconnect', nsp: name, id: socket.id, reason }));
    socket.on('echo', (...args) => socket.emit('echo', ...args));
    socket.on('ask', (...args) => args.pop()(...args));
    socket.on('mute', () => {});
    socket.on('note', (value) => heard.set(socket.id, [...(heard.get(socket.id) ?? []), value]));
    socket.on('broadcast', (rooms, value, ack) => {
      socket.to(rooms).emit('news', value); // no room: all
      ack?.();
    });
    socket.on('leave me', () => {
      socket.emit('farewell', 'you asked for it');
      socket.disconnect();
    });
  });
}

function guard(socket, next) {
  const { token, rooms = [] } = socket.handshake.auth;
  if (token === 'open sesame') {
    socket.join(rooms);
    return next();
  }
  const err = new Error('wrong token');
  err.data = { code: 7, token };
  return next(err);
}

async function serve(req, res) {
  try {
    let text = '';
    for await (const chunk of req) text += chunk;
    res.end(JSON.stringify((await act(JSON.parse(text))) ?? {}));
  } catch (err) {
    res.writeHead(400).end(err.message);
  }
}

async function act(order) {
  const { nsp = '/', to = [], except = [], event, first = 0 } = order;
  const socket = order.socket && io.of(nsp).sockets.get(order.socket);
  if (order.socket && !socket && order.do !== 'heard') throw new Error(`no socket ${order.socket}`);
  switch (order.do) {
    case 'emit':
      for (let i = 0; i < (order.count || 1); i++) {
        if (i > 0 && order.every) await pause(order.every);
        let target = socket ?? io.of(nsp).to(to).except(except);
        if (order.volatile) target = target.volatile;
        target.emit(event, ...args(order, first + i));
      }
      return {};
    case 'ask':
      if (socket) {
        return socket.timeout(ackTimeout).emitWithAck(event, ...args(order, 0)).then(one, (err) => ({ error: err.message }));
      }
      return new Promise((resolve) => {
        io.of(nsp).to(to).timeout(ackTimeout).emit(event, ...args(order, 0), (err, answers) => {
          resolve({ answers: answers.map(one), ...(err && { error: err.message }) });
        });
      });
    case 'heard': return { heard: heard.get(order.socket) };
    case 'sockets': return { sockets: (await io.of(nsp).in(to).fetchSockets()).map(({ id }) => id) };
    case 'join': return void socket.join(to);
    case 'leave': return void to.map((room) => socket.leave(room));
    case 'rooms': return { rooms: [...socket.rooms] };
    case 'disconnect': return void socket.disconnect();
    case 'disconnect all': return void socket.disconnect(true);
    case 'close': return void socket.conn.close();
    default: throw new Error(`cannot do ${order.do}`);
  }
}

// args are the arguments of an event: see newEvent in do.go.
function args({ args = [], count, fill, binary }, number) {
  const all = args.map((arg) => (typeof arg?.$bin === 'string' ? Buffer.from(arg.$bin, 'base64') : arg));
  if (count) all.unshift(number);
  if (fill !== undefined) all.push(binary ? Buffer.from(Array.from({ length: fill }, (_, i) => i % 251)) : 'x'.repeat(fill));
  return all;
}

// one is the answer of one client, which gives one argument.
const one = (value) => ({ args: value === undefined ? [] : [plain(value)] });

function plain(value) {
  if (Buffer.isBuffer(value)) return { $bin: value.toString('base64') };
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  return value;
}

process.on('SIGTERM', () => io.close(() => process.exit(0)));
web.listen(0, '127.0.0.1', () => tell({ what: 'serving', url: `http://127.0.0.1:${web.address().port}` }));
