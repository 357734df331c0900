// Messages of every size at which the server does something else: the three forms of a frame's
// header, the buffers that it reads, writes and pools with, the bound of the queue, the largest that
// it takes. Both ways, as text and as binary, on each transport. Clauses E-24, E-35, E-39, S-30.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Engine, filling, reference } from './engine.mjs';

const MAX = 500_000; // a maxPayload that is no other boundary
const around = (n, by) => Array.from({ length: 2 * by + 1 }, (_, i) => n - by + i);
const SIZES = [
  ...around(126, 3), ...around(1024, 2), ...around(2048, 6), ...around(4096, 2), ...around(16_384, 2), ...around(32_768, 8),
  ...around(65_536, 3), ...around(131_072, 1), ...around(262_144, 2), MAX - 1, MAX,
];
const MODES = ['websocket only', 'polling only'];

// TEXT is what an event of one text costs in a message besides the text.
const TEXT = '42["echo",""]'.length;

describe('sizes', { concurrency: true }, () => {
  for (const mode of MODES) {
    test(`text, ${mode}`, { timeout: 60_000 }, async (t) => {
      const engine = await Engine.start(t, { maxPayload: MAX });
      const client = await engine.tap(mode);
      const texts = ['', 'x', ...SIZES.map((n) => 'ab'.repeat(n / 2 + 1).slice(0, n - TEXT))];
      for (const text of texts) await echoed(client, text);
      // Several without waiting: they meet in buffers and bodies.
      const seen = client.named('echo').length;
      const few = texts.filter((text) => text.length < 70_000);
      for (const text of few) client.socket.emit('note', text);
      await client.ask('ask', 'all noted');
      const heard = await engine.heard(client.socket);
      assert.deepEqual(heard.map((text) => text.length), few.map((text) => text.length));
      assert.ok(heard.every((text, i) => text === few[i]), 'and are what was sent');
      assert.equal(client.named('echo').length, seen);
      assert.deepEqual([client.connects, client.drops], [1, []]);
    });

    test(`binary, ${mode}`, { timeout: 60_000 }, async (t) => {
      const engine = await Engine.start(t, { maxPayload: MAX });
      const client = await engine.tap(mode);
      // On polling it is base64 that has to fit, and its packet with it.
      const fit = mode === 'polling only' ? (n) => Math.floor(n / 4) * 3 - 200 : (n) => n;
      for (const n of [0, 1, 2, 3, ...SIZES]) await echoed(client, filling(n < MAX - 1 ? n : fit(n)));
      assert.deepEqual([client.connects, client.drops], [1, []]);
    });

    test(`text that is not ASCII, ${mode}`, { timeout: 60_000 }, async (t) => {
      const engine = await Engine.start(t, { maxPayload: MAX });
      const client = await engine.tap(mode);
      for (const n of SIZES.filter((n) => n < MAX - 1)) {
        for (const [char, bytes] of [['ü', 2], ['€', 3], ['🍞', 4]]) {
          const room = n - TEXT;
          await echoed(client, 'x'.repeat(room % bytes) + char.repeat(Math.floor(room / bytes)));
        }
      }
    });

    test(`from the server, more than it takes itself, ${mode}`, { timeout: 60_000 }, async (t) => {
      const engine = await Engine.start(t, { maxPayload: MAX });
      const client = await engine.tap(mode);
      const socket = client.socket.id;
      const sizes = [MAX + 1, 1_000_000, 3_000_000];
      for (const fill of sizes) {
        await engine.emit('text', [], { socket, fill });
        await client.until(`text of ${fill}`, () => client.named('text').at(-1)?.data.length === fill);
        await engine.emit('data', [], { socket, fill, binary: true });
        await client.until(`data of ${fill}`, () => client.named('data').at(-1)?.data.length === fill);
        assert.ok(client.named('data').at(-1).data.equals(filling(fill)));
      }
      // Behind each other they are too much for a queue, unless one waits: small ones follow a large one.
      await engine.emit('text', [], { socket, fill: 2_000_000 });
      await engine.emit('small', ['x'], { socket, count: 500 });
      await client.until('the small ones', () => client.named('small').length === 500);
      assert.deepEqual([client.connects, client.drops], [1, []]);
    });

    test(`more than the server takes, ${mode}`, { timeout: 30_000 }, async (t) => {
      const engine = await Engine.start(t, { maxPayload: MAX });
      for (const [what, value] of [['text', 'x'.repeat(MAX + 1 - TEXT)], ['binary', filling(MAX + 1)]]) {
        const client = await engine.tap(mode, { reconnection: false });
        const { id } = client.socket;
        client.socket.emit('echo', value);
        await client.until(`the end for ${what}`, () => client.drops.length);
        // A POST that is refused is an error to the client, which then says goodbye.
        const reasons = mode === 'polling only'
          ? ['transport error', 'transport close']
          : ['transport close', reference ? 'transport error' : 'parse error'];
        assert.deepEqual([client.drops[0], await engine.ended(id)], reasons, what);
        assert.equal(client.named('echo').length, 0);
      }
    });
  }
});

async function echoed(client, value) {
  const seen = client.named('echo').length;
  client.socket.emit('echo', value);
  await client.until(`the echo of ${value.length}`, () => client.named('echo').length > seen || client.drops.length);
  assert.deepEqual(client.drops, [], `echo of ${value.length}`);
  const back = client.named('echo')[seen].data;
  assert.ok(Buffer.isBuffer(value) ? value.equals(back) : value === back, `echo of ${value.length} is ${back.length} and other`);
  client.events.length = 0; // they are large
}
