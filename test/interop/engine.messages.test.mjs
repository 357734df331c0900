// What events and acks carry, both ways: binary of every kind, no argument at all, text that is
// awkward; acks that come, and that do not. Clauses S-20 to S-35.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bin, Engine, filling, reference } from './engine.mjs';
import { MODES } from './tap.mjs';

const bytes = (...values) => Buffer.from(values);

// Each is a list of arguments, as the client sends it and as it comes back.
const ARGUMENTS = {
  'nothing': [],
  'plain values': [null, true, 0, -1.5, 1e21, '', 'a', [], {}, [[]], { a: { b: [1, { c: null }] } }],
  'awkward text': ['\u2028\u2029', '\u001e', '\u0000', '🍞 Müsli Ⅻ', '"\\/\b\f\n\r\t', '</script>', '\ufeff', '\ud83c\udf5e'],
  'what looks like a placeholder': [{ _placeholder: true, num: 0 }, { _placeholder: true, num: 99 }],
  'a Buffer': [bytes(1, 2, 3)],
  'an empty Buffer': [bytes()],
  'the bytes of text frames': [bytes(0x1e, 0x34, 0x62, 0xff, 0x00)],
  'an ArrayBuffer': [new Uint8Array([4, 5, 6]).buffer, bytes(4, 5, 6)],
  'a view of a part of an ArrayBuffer': [new Uint8Array([1, 2, 3, 4]).subarray(1, 3), bytes(2, 3)],
  'several among other values': ['a', bytes(1), 2, bytes(), null, bytes(3, 4)],
  'nested': [{ list: [bytes(1), { deep: { er: bytes(2) } }], text: 'x' }, [[bytes(3)]]],
  'the same twice': [bytes(7), bytes(7)],
  'ten': Array.from({ length: 10 }, (_, i) => bytes(i)),
  'large': [filling(300_000), 'between', filling(100_000)],
};

// sent and back are what goes and what comes: an ArrayBuffer or a view comes back as a Buffer.
function split(name, args) {
  return name.includes('ArrayBuffer') ? [[args[0]], [args[1]]] : [args, args];
}

describe('arguments', { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(mode, { timeout: 30_000 }, async (t) => {
      const engine = await Engine.start(t);
      const client = await engine.tap(mode);
      for (const [name, args] of Object.entries(ARGUMENTS)) {
        const [sent, back] = split(name, args);
        const seen = client.named('echo').length;
        client.socket.emit('echo', ...sent);
        await client.until(`the echo of ${name}`, () => client.named('echo').length > seen);
        assert.deepEqual(client.named('echo')[seen].args, back, `event, ${name}`);
        // An ack resolves to one value: the rest is for callbacks.
        const answer = await new Promise((resolve, reject) => {
          client.socket.timeout(5000).emit('ask', ...sent, (err, ...all) => (err ? reject(err) : resolve(all)));
        });
        assert.deepEqual(answer, back, `ack, ${name}`);
      }
      // All of them at once stay whole and in order.
      const seen = client.named('echo').length;
      const all = Object.entries(ARGUMENTS).map(([name, args]) => split(name, args));
      for (const [sent] of all) client.socket.emit('echo', ...sent);
      await client.until('all echoes', () => client.named('echo').length === seen + all.length);
      assert.deepEqual(client.named('echo').slice(seen).map(({ args }) => args), all.map(([, back]) => back));
      assert.deepEqual([client.connects, client.drops], [1, []]);
    });
  }
});

describe('acks that the server asks for', { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(mode, { timeout: 30_000 }, async (t) => {
      const engine = await Engine.start(t, { ackTimeout: 2000 });
      const [one, two, three] = await Promise.all([engine.tap(mode), engine.tap(mode), engine.tap(mode)]);
      for (const client of [one, two, three]) {
        client.socket.on('name', (given, ack) => ack({ given, by: client.socket.id }));
        client.socket.on('blob', (data, ack) => ack({ deep: [Buffer.concat([data, bytes(9)])] }));
        client.socket.on('nothing', (ack) => ack());
        client.socket.on('twice', (ack) => {
          ack(1);
          ack(2);
        });
        client.socket.on('stubborn', () => {});
      }
      const ask = (event, order) => engine.do('ask', { event, ...order });
      const socket = one.socket.id;
      assert.deepEqual(await ask('name', { socket, args: ['x'] }), { args: [{ given: 'x', by: socket }] });
      assert.deepEqual(await ask('blob', { socket, args: [bin([1, 2])] }), { args: [{ deep: [bin([1, 2, 9])] }] });
      assert.deepEqual((await ask('nothing', { socket })).args ?? [], []);
      assert.deepEqual(await ask('twice', { socket }), { args: [1] });
      assert.ok((await ask('stubborn', { socket })).error, 'an ack that does not come is an error');
      assert.deepEqual(await ask('name', { socket, args: ['after'] }), { args: [{ given: 'after', by: socket }] });

      // Many at once, out of order.
      const order = [];
      one.socket.on('slow', (ms, ack) => setTimeout(() => (order.push(ms), ack(ms)), ms));
      const waits = [90, 5, 60, 30];
      const answers = await Promise.all(waits.map((ms) => ask('slow', { socket, args: [ms] })));
      assert.deepEqual(answers.map(({ args }) => args[0]), waits);

      // To all: everybody answers, then one does not.
      const all = await ask('name', { args: [7] });
      assert.equal(all.error, undefined);
      const ids = [one, two, three].map((client) => client.socket.id);
      assert.deepEqual(new Set(all.answers.map(({ args }) => args[0].by)), new Set(ids));
      assert.equal(all.answers.length, 3);
      await engine.do('join', { socket: two.socket.id, to: ['pair'] });
      await engine.do('join', { socket: three.socket.id, to: ['pair'] });
      const blobs = await ask('blob', { to: ['pair'], args: [bin([5])] });
      assert.deepEqual(blobs.answers, [{ args: [{ deep: [bin([5, 9])] }] }, { args: [{ deep: [bin([5, 9])] }] }]);
      two.socket.off('name');
      const some = await ask('name', { args: [8] });
      assert.ok(some.error, 'a missing answer is an error');
      const came = some.answers.filter(({ error }) => !error).map(({ args }) => args[0].by);
      assert.deepEqual(new Set(came), new Set([ids[0], ids[2]]));
      assert.deepEqual(await ask('name', { to: ['nobody'] }), reference ? { answers: [] } : {});
      assert.deepEqual([one, two, three].map(({ connects, drops }) => [connects, drops]), [[1, []], [1, []], [1, []]]);
    });
  }
});

describe('acks that the client asks for', { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(mode, { timeout: 20_000 }, async (t) => {
      const engine = await Engine.start(t);
      const client = await engine.tap(mode);
      assert.equal(await client.ask('ask', 'a'), 'a');
      assert.deepEqual(await client.ask('ask', bytes(1, 2)), bytes(1, 2));
      await assert.rejects(client.socket.timeout(150).emitWithAck('mute'), /operation has timed out/);
      await assert.rejects(client.socket.timeout(150).emitWithAck('nobody knows this'), /operation has timed out/);
      const many = Array.from({ length: 300 }, (_, i) => i);
      assert.deepEqual(await Promise.all(many.map((i) => client.ask('ask', i % 7 ? i : bytes(i % 256)))),
        many.map((i) => (i % 7 ? i : bytes(i % 256))));
      assert.deepEqual([client.connects, client.drops], [1, []]);
    });
  }
});
