// Many events, none lost, doubled or out of order: while a connection moves from polling to
// WebSocket, on polling alone, in bodies that have to be split, to many clients at once. And volatile
// ones, which may be lost, but not the others for them. Clauses E-20, E-33, E-44 to E-46, S-41 to S-43.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bin, Engine, numbers, reference, UPGRADING } from './engine.mjs';
import { MODES } from './tap.mjs';

const values = (client, name) => client.named(name).map(({ data }) => data);

test('a stream both ways during the upgrade', { timeout: 60_000 }, async (t) => {
  const engine = await Engine.start(t);
  for (let round = 0; round < 10; round++) {
    // The stock client begins its upgrade at once. Half of ours wait until they are in the middle.
    const clients = Array.from({ length: 4 }, (_, i) => {
      const client = engine.client(UPGRADING, { upgrade: i < 2 });
      client.socket.io.on('open', () => client.socket.io.engine.once('upgrade', () => (client.before = client.named('n').length)));
      return client;
    });
    await Promise.all(clients.map((client) => client.until('the first event', () => client.named('welcome').length)));
    await Promise.all(clients.map(async (client, i) => {
      const { socket } = client;
      let sent = 0;
      const sending = (async () => { // until the client has moved on, and on for a while
        for (let more = 3; more > 0; more -= client.before === undefined ? 0 : 1) {
          await engine.emit('n', i % 2 ? ['🍞', bin([1, 2, 3])] : [], { socket: socket.id, first: sent, count: 40, every: 0.25 });
          sent += 40;
        }
      })();
      const note = async (some) => {
        for (const n of some) {
          socket.emit('note', n, ...(n % 5 ? [] : [Buffer.from([n])]));
          if (n % 10 === 0) await new Promise(setImmediate);
        }
      };
      await note(numbers(100));
      if (i >= 2) {
        await client.until('the first events', () => client.named('n').length > 20);
        socket.io.engine._probe('websocket');
        await note(numbers(200).slice(100));
      }
      await sending;
      if (i >= 2) assert.ok(client.before > 20);
      await client.ask('ask', 'all noted');
      await client.until('the stream', () => client.named('n').length >= sent);
      assert.deepEqual(values(client, 'n'), numbers(sent));
      assert.ok(client.named('n').every(({ args }) => args.length === (i % 2 ? 3 : 1)), 'whole events');
      assert.deepEqual(await engine.heard(socket), numbers(i < 2 ? 100 : 200));
      assert.deepEqual([client.connects, client.drops, client.path], [1, [], MODES[UPGRADING].path]);
      socket.io._close();
    }));
  }
});

test('a burst that is under way when the upgrade begins', { timeout: 30_000 }, async (t) => {
  const engine = await Engine.start(t);
  for (let round = 0; round < 10; round++) {
    const client = engine.client(UPGRADING);
    // What is emitted before CONNECT is kept by the client, and leaves in one body.
    for (const n of numbers(50)) client.socket.emit('echo', n);
    await client.until('the echoes', () => client.named('echo').length === 50 && client.path.length === 2);
    assert.deepEqual(values(client, 'echo'), numbers(50));
    for (const n of numbers(50)) client.socket.emit('echo', n);
    await client.until('the echoes', () => client.named('echo').length === 100);
    assert.deepEqual(values(client, 'echo'), [...numbers(50), ...numbers(50)]);
    client.socket.io._close();
  }
});

describe('long streams', { concurrency: true }, () => {
  for (const mode of ['polling only', 'websocket only']) {
    test(mode, { timeout: 60_000 }, async (t) => {
      const engine = await Engine.start(t);
      const client = await engine.tap(mode);
      const text = '\u2028 🍞 "\u001e\\ \u0000';
      const socket = client.socket.id;
      for (let round = 1; round <= 4; round++) {
        // At once: many packets in one body.
        const one = engine.emit('n', [text, { deep: [text] }], { socket, count: 1500 });
        for (const n of numbers(1000)) client.socket.emit('note', n, text);
        await one;
        await client.until('the stream', () => client.named('n').length >= 1500);
        assert.deepEqual(values(client, 'n'), numbers(1500));
        assert.ok(client.named('n').every(({ args }) => args[1] === text && args[2].deep[0] === text));
        await client.ask('ask', 'all noted');
        client.events.length = 0;
      }
      await engine.emit('n', [text], { socket, count: 1000, every: 0.1 }); // and one by one
      await client.until('the stream', () => client.named('n').length >= 1000);
      assert.deepEqual(values(client, 'n'), numbers(1000));
      assert.deepEqual(await engine.heard(client.socket), [1, 2, 3, 4].flatMap(() => numbers(1000)));
      assert.deepEqual([client.connects, client.drops], [1, []]);
    });
  }

  test('split by the client into bodies that the server takes', { timeout: 30_000 }, async (t) => {
    const engine = await Engine.start(t, { maxPayload: 1000 });
    for (const mode of Object.keys(MODES)) {
      const client = await engine.tap(mode);
      for (const n of numbers(300)) {
        client.socket.emit('note', n, 'x'.repeat((n * 37) % 900)); // of binary it counts too little
      }
      await client.ask('ask', 'all noted');
      assert.deepEqual(await engine.heard(client.socket), numbers(300), mode);
      assert.deepEqual([client.connects, client.drops], [1, []], mode);
    }
  });
});

describe('volatile events', { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(mode, { timeout: 30_000 }, async (t) => {
      const engine = await Engine.start(t);
      const client = await engine.tap(mode);
      const socket = client.socket.id;
      const order = { socket, volatile: true };

      // To a client that waits they come.
      for (const n of numbers(5)) {
        await client.ask('ask', n);
        await client.until('a client that can be written to', async () => {
          const seen = client.named('v').length;
          await engine.emit('v', [n], order);
          return client.until('it', () => client.named('v').length > seen, 200).catch(() => false);
        });
      }

      // Behind what the network does not take at once, they do not.
      client.events.length = 0;
      const [, volatile] = await Promise.all([
        engine.emit('large', [], { socket, fill: 8_000_000 }),
        engine.emit('v', ['behind'], { ...order, count: 200 }),
      ]);
      await engine.emit('end', [], { socket });
      await client.until('the end', () => client.named('end').length, 20_000);
      const came = values(client, 'v').filter(Number.isInteger);
      assert.equal(client.named('large')[0].data.length, 8_000_000);
      assert.ok(came.length < 200, 'some were dropped');
      assert.deepEqual(came, [...new Set(came)].sort((a, b) => a - b), 'none twice, and in order');
      if (!reference) assert.equal(came.length, 200 - (volatile.dropped ?? 0), 'what was not dropped came');

      // The client drops its own while it is away; others it keeps.
      client.socket.disconnect();
      client.socket.volatile.emit('note', 'volatile');
      client.socket.emit('note', 'kept');
      client.socket.connect();
      await client.until('the second connection', () => client.connects === 2);
      await client.ask('ask', 'all noted');
      assert.deepEqual(await engine.heard(client.socket), ['kept']);
    });
  }
});

test('two hundred clients at once get every event exactly once', { timeout: 60_000 }, async (t) => {
  const engine = await Engine.start(t);
  const modes = ['websocket only', UPGRADING, 'websocket only', 'polling only'];
  // Those that upgrade do so while events are coming.
  const clients = Array.from({ length: 200 }, (_, i) => engine.client(modes[i % modes.length]));
  await Promise.all(clients.map((client) => client.until('welcome', () => client.named('welcome').length, 30_000)));
  await Promise.all(clients.map(({ socket }, i) => engine.do('join', { socket: socket.id, to: [`of ten ${i % 10}`, 'everybody'] })));
  await Promise.all([
    engine.emit('all', ['x'], { count: 50, every: 5 }),
    engine.emit('blob', [bin([1, 2, 3])], { count: 20, every: 10 }),
    engine.emit('union', [], { to: ['of ten 3', 'everybody', 'of ten 4'], count: 20, every: 10 }),
    engine.emit('some', [], { to: ['of ten 3'], count: 20, every: 10 }),
    engine.emit('others', [], { except: ['of ten 3', 'of ten 4'], count: 20, every: 10 }),
  ]);
  await engine.emit('end', []);
  await Promise.all(clients.map((client) => client.until('the end', () => client.named('end').length, 30_000)));
  for (const [i, client] of clients.entries()) {
    assert.deepEqual(values(client, 'all'), numbers(50), client.label);
    assert.deepEqual(client.named('blob').map(({ args }) => args), numbers(20).map((n) => [n, Buffer.from([1, 2, 3])]));
    assert.deepEqual(values(client, 'union'), numbers(20));
    assert.deepEqual(values(client, 'some'), i % 10 === 3 ? numbers(20) : []);
    assert.deepEqual(values(client, 'others'), [3, 4].includes(i % 10) ? [] : numbers(20));
    assert.deepEqual([client.connects, client.drops, client.errors], [1, [], []], client.label);
  }
  const { sockets } = await engine.do('sockets');
  assert.deepEqual(new Set(sockets), new Set(clients.map(({ socket }) => socket.id)));
});
