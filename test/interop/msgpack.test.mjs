// The official client with the official msgpack parser, beside clients with the default one. The server
// is test/conformance: what both speak of is Socket.IO alone. Clause S-45.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { io } from 'socket.io-client';
import msgpack from 'socket.io-msgpack-parser';
import { until, within } from './harness.mjs';

const checkout = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

let folder, child, url;
let log = '';

before(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'larder-msgpack-'));
  const program = path.join(folder, process.platform === 'win32' ? 'conformance.exe' : 'conformance');
  await promisify(execFile)('go', ['build', '-o', program, './test/conformance'], { cwd: checkout });
  child = spawn(program, ['-addr', '127.0.0.1:0', '-patient'], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const address = await until(() => `an address, got ${log}`, () => /msg=serving addr=(\S+)/.exec(log), { ms: 15_000 });
  url = `http://${address[1]}`;
}, { timeout: 180_000 });

after(async () => {
  if (child) {
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await within('the end of the server', ended);
  }
  await fs.rm(folder, { recursive: true, force: true });
});

process.on('exit', () => child?.kill('SIGKILL'));

// join connects a client and waits for its auth event. It counts the packets of each form that came.
async function join(t, { nsp = '', parser = msgpack, ...options } = {}) {
  const socket = io(url + nsp, { parser, forceNew: true, reconnection: false, ...options });
  t.after(() => socket.io.engine.close());
  const auth = once(socket, 'auth');
  await Promise.race([
    within('auth', auth),
    once(socket, 'connect_error').then(([err]) => assert.fail(err)),
  ]);
  return { socket, auth: (await auth)[0] };
}

const bytes = (value) => Buffer.from(value instanceof ArrayBuffer ? new Uint8Array(value) : value);

const transports = { 'websocket': ['websocket'], 'polling': ['polling'], 'polling, then an upgrade': ['polling', 'websocket'] };

for (const [name, list] of Object.entries(transports)) {
  describe(name, () => {
    test('auth, events and acks', { timeout: 30_000 }, async (t) => {
      const sent = { token: 'ä', n: 1.5, deep: [{ a: [null, true] }] };
      const { socket, auth } = await join(t, { transports: list, auth: sent });
      assert.deepEqual(auth, sent);
      if (list.length > 1) await until('the upgrade', () => socket.io.engine.transport.name === 'websocket');
      assert.equal(socket.io.engine.transport.name, list.at(-1));

      const values = [
        'text', '', 'ü€😀', '"\\\b\f\n\r\t\u0000\u001e\u2028', 'x'.repeat(70_000), 0, 1, -1, 127, 128, 255, 256, 65535, 65536, 2 ** 32, 2 ** 53, -(2 ** 53),
        -32, -33, -128, -129, -32769, -(2 ** 31) - 1, 0.1, -1.5e-300, 5e-324, 2 ** 64 - 2048, true, false, null, [], {},
        Array.from({ length: 20 }, (_, i) => i), Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, i])),
        { _placeholder: true, num: 0 },
      ];
      for (const args of [[], values, values.slice(0, 16)]) {
        const back = once(socket, 'message-back');
        socket.emit('message', ...args);
        assert.deepEqual(await within('message-back', back), args);
        const ack = await within('an ack', new Promise((done) => socket.emit('message-with-ack', ...args, (...got) => done(got))));
        assert.deepEqual(ack, args);
      }
    });

    test('binary, both ways and in acks', { timeout: 30_000 }, async (t) => {
      const { socket } = await join(t, { transports: list });
      const all = [Buffer.from([1, 2, 3]), Buffer.alloc(0), Buffer.alloc(300, 7), Buffer.alloc(70_000, 8), new Uint8Array([4, 5]), new Uint8Array([6]).buffer];
      const back = once(socket, 'message-back');
      socket.emit('message', { a: all.slice(0, 3) }, ...all.slice(3));
      const [nested, ...rest] = await within('message-back', back);
      assert.deepEqual([...nested.a, ...rest].map(bytes), all.map(bytes));
      const ack = await within('an ack', socket.timeout(10_000).emitWithAck('message-with-ack', { a: [all[2]] }));
      assert.deepEqual(bytes(ack.a[0]), all[2]);
    });

    test('what JSON does not have', { timeout: 30_000 }, async (t) => {
      const { socket } = await join(t, { transports: list });
      const values = [undefined, NaN, Infinity, -Infinity, new Date(1e12), new Date(-1), new Date(8.64e15), { a: undefined, b: 1, f() {} }, [undefined]];
      const back = once(socket, 'message-back');
      socket.emit('message', ...values);
      assert.deepEqual(await within('message-back', back), JSON.parse(JSON.stringify(values)));
    });
  });
}

test('two namespaces on one connection, and one that is refused', { timeout: 30_000 }, async (t) => {
  const { socket: main } = await join(t, { transports: ['websocket'] });
  const custom = main.io.socket('/custom', { auth: { nsp: 'custom' } });
  assert.deepEqual(await within('auth', once(custom, 'auth')), [{ nsp: 'custom' }]);
  assert.notEqual(main.id, custom.id);
  for (const socket of [custom, main]) {
    const back = once(socket, 'message-back');
    socket.emit('message', socket.nsp, Buffer.from([1]));
    const [nsp, data] = await within('message-back', back);
    assert.equal(nsp, socket.nsp);
    assert.deepEqual(data, Buffer.from([1]));
  }
  for (const [nsp, message, data] of [['/closed', 'not you', { code: 7 }], ['/nowhere', 'Invalid namespace', undefined]]) {
    const socket = main.io.socket(nsp);
    const [err] = await within('connect_error', once(socket, 'connect_error'));
    assert.equal(err.message, message);
    assert.deepEqual(err.data, data);
  }
  const left = once(main, 'disconnect');
  main.emit('leave');
  assert.equal((await within('disconnect', left))[0], 'io server disconnect');
  const ack = await within('an ack', custom.timeout(10_000).emitWithAck('message-with-ack', 'still here'));
  assert.equal(ack, 'still here');
});

test('both parsers hear each other, and are asked for acks together', { timeout: 30_000 }, async (t) => {
  const clients = {};
  for (const list of [['websocket'], ['polling']]) {
    clients[`msgpack ${list}`] = (await join(t, { nsp: '/custom', transports: list })).socket;
    clients[`default ${list}`] = (await join(t, { nsp: '/custom', transports: list, parser: undefined })).socket;
  }
  for (const [name, author] of Object.entries(clients)) {
    const others = Object.values(clients).filter((c) => c !== author);
    const heard = others.map((c) => once(c, 'message-back'));
    author.emit('message-to-others', name, { at: [1.5, null, Buffer.from(name)] });
    for (const args of await within('all others', Promise.all(heard))) {
      assert.deepEqual(args, [name, { at: [1.5, null, Buffer.from(name)] }]);
    }
  }
  for (const socket of Object.values(clients)) socket.on('question', (q, data, answer) => answer({ q, data }, Buffer.concat([data, data])));
  for (const author of Object.values(clients)) {
    const [answer, twice] = await within('an answer', new Promise((done) => author.emit('ask-others', 'why', Buffer.from([1, 2]), (...got) => done(got))));
    assert.deepEqual(answer, { q: 'why', data: Buffer.from([1, 2]) });
    assert.deepEqual(twice, Buffer.from([1, 2, 1, 2]));
  }
});
