// How connections and sockets end: the reason that the client sees, the one that the server has, and
// whether the client comes back. Section "Close reasons" of the clauses, E-28 to E-31, E-55, S-8, S-9.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Engine, reference } from './engine.mjs';
import { MODES } from './tap.mjs';

// ENDS are ways to end: do makes it happen, client and server are the reasons, back says that the
// client connects anew by itself. Of several reasons the network decides.
const ENDS = {
  'the client disconnects': {
    do: ({ socket }) => socket.disconnect(), client: 'io client disconnect', server: 'client namespace disconnect',
  },
  'the client closes its connection': {
    do: ({ socket }) => socket.io.engine.close(), client: 'forced close', server: 'transport close', back: true,
  },
  'the connection breaks': {
    do: ({ socket }) => socket.io.engine.transport.ws.terminate(), skip: 'polling only',
    client: 'transport close', server: ['transport close', 'transport error'], back: true,
  },
  'the server disconnects the socket': {
    do: ({ socket }, engine) => engine.do('disconnect', { socket: socket.id }),
    client: 'io server disconnect', server: 'server namespace disconnect',
  },
  'the socket asks the server for it': {
    do: ({ socket }) => socket.emit('leave me'), client: 'io server disconnect', server: 'server namespace disconnect', last: 'farewell',
  },
  'the server disconnects the socket and closes': {
    do: ({ socket }, engine) => engine.do('disconnect all', { socket: socket.id }),
    client: 'io server disconnect', server: 'server namespace disconnect',
  },
  'the server closes the connection': {
    do: ({ socket }, engine) => engine.do('close', { socket: socket.id }),
    client: 'transport close', server: reference ? 'forced close' : 'forced server close', back: true,
  },
  // On polling the POST is refused, too (E-29), and the client hears of that or of the close first.
  'the client sends what is no packet': {
    do: ({ socket }) => socket.io.engine.write('9'),
    client: ['transport close', 'transport error'], server: reference ? 'forced close' : 'parse error', back: true,
  },
  'the client sends an event of a namespace it is not in': {
    do: ({ socket }) => socket.io.engine.write('2/5,["x"]'),
    client: ['transport close', 'transport error'], server: reference ? 'forced close' : 'parse error', back: true,
  },
};

describe('ends', { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(mode, { timeout: 40_000 }, async (t) => {
      const engine = await Engine.start(t);
      await Promise.all(Object.entries(ENDS).filter(([, { skip }]) => skip !== mode).map(async ([name, end]) => {
        const client = await engine.tap(mode);
        const other = end.back && client.ours('/1');
        if (other) await other.until('welcome', () => other.named('welcome').length);
        const { id } = client.socket;
        await end.do(client, engine);
        await client.until(`the end: ${name}`, () => client.drops.length);
        assert.ok([end.client].flat().includes(client.drops[0]), `${name}: the client says ${client.drops[0]}`);
        const reason = await engine.ended(id);
        assert.ok([end.server].flat().includes(reason), `${name}: the server says ${reason}`);
        if (end.last) assert.equal(client.events.at(-1).name, end.last, 'its last words came');
        if (end.back) {
          await client.until('the way back', () => client.connects === 2 && client.named('welcome').length === 2);
          assert.notEqual(client.socket.id, id);
          assert.equal(await client.ask('ask', 'again'), 'again');
          await other.until('the other namespace, too', () => other.connects === 2);
        } else {
          await new Promise((resolve) => setTimeout(resolve, 200)); // longer than a way back would take
          assert.equal(client.connects, 1, `${name}: the client stays away`);
          assert.equal(client.socket.connected, false);
          client.socket.connect();
          await client.until('a connection that is asked for', () => client.connects === 2);
          assert.equal(await client.ask('ask', 'again'), 'again');
        }
      }));
    });
  }
});

describe('last words', { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(mode, { timeout: 20_000 }, async (t) => {
      const engine = await Engine.start(t);
      for (const [how, reason] of [['disconnect', 'io server disconnect'], ['close', 'transport close']]) {
        const client = await engine.tap(mode, { reconnection: false });
        const socket = client.socket.id;
        await engine.emit('n', [], { socket, count: 300 });
        await engine.emit('large', [], { socket, fill: 150_000 });
        await engine.do(how, { socket });
        await client.until('the end', () => client.drops.length);
        assert.deepEqual(client.drops, [reason]);
        if (how === 'disconnect' || !reference) {
          assert.equal(client.named('large').length, 1);
          assert.equal(client.named('n').length, 300);
        }
      }
    });
  }
});

describe('heartbeats', { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(`keep a quiet connection, ${mode}`, { timeout: 20_000 }, async (t) => {
      const engine = await Engine.start(t, { pingInterval: 100, pingTimeout: 10_000 });
      const client = await engine.tap(mode);
      let pings = 0;
      client.socket.io.on('ping', () => pings++);
      await client.until('ten pings', () => pings >= 10);
      assert.equal(await client.ask('ask', 1), 1);
      assert.deepEqual([client.connects, client.drops], [1, []]);
    });

    test(`of a client that does not answer, ${mode}`, { timeout: 20_000 }, async (t) => {
      const engine = await Engine.start(t, { pingInterval: 400, pingTimeout: 2000 });
      const client = await engine.tap(mode, { reconnection: false });
      const { id } = client.socket;
      const { engine: session } = client.socket.io;
      session._sendPacket = () => {}; // nor sends anything
      assert.equal(await engine.ended(id), 'ping timeout');
      await client.until('the end', () => client.drops.length);
    });

    test(`of a server that is frozen, ${mode}`, { timeout: 20_000 }, async (t) => {
      const engine = await Engine.start(t, { pingInterval: 400, pingTimeout: 2000 });
      const client = await engine.tap(mode);
      const { id } = client.socket;
      engine.child.kill('SIGSTOP');
      try {
        await client.until('the end', () => client.drops.length);
        assert.equal(client.drops[0], 'ping timeout');
      } finally {
        engine.child.kill('SIGCONT');
      }
      await client.until('the way back', () => client.connects === 2);
      await engine.ended(id);
      assert.equal(await client.ask('ask', 1), 1);
    });
  }
});

test('a server that stops', { timeout: 20_000 }, async (t) => {
  const engine = await Engine.start(t);
  const clients = await Promise.all(Object.keys(MODES).map((mode) => engine.tap(mode)));
  const ids = clients.map(({ socket }) => socket.id);
  engine.child.kill('SIGTERM');
  for (const [i, client] of clients.entries()) {
    await client.until('the end', () => client.drops.length);
    assert.match(client.drops[0], /^transport (close|error)$/, client.label);
    assert.equal(await engine.ended(ids[i]), 'server shutting down', client.label);
  }
  await engine.exited;
});
