// Connection state recovery as the stock client does it, from memory (S-50 to S-57): with no code of
// its own it comes back as the socket it was, and hears what it missed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import msgpack from 'socket.io-msgpack-parser';
import { Engine, numbers, reference } from './engine.mjs';
import { MODES } from './tap.mjs';

const WAYS = Object.entries(MODES).map(([mode]) => ({ name: mode, mode }));
if (!reference) WAYS.push({ name: 'websocket only, msgpack', mode: 'websocket only', parser: msgpack });

// away breaks the connection, has something done before the client is back, and waits until it is.
async function away(engine, client, during = () => {}) {
  const { id } = client.socket;
  const connects = client.connects;
  client.socket.io.reconnectionDelay(1000).reconnectionDelayMax(1000).randomizationFactor(0);
  client.socket.io.engine.close();
  await client.until('the break', () => client.drops.length === connects);
  await engine.ended(id);
  engine.log = engine.log.filter((each) => each.id !== id); // ended counts anew
  await during();
  await client.until('the way back', () => client.connects === connects + 1);
  return id;
}

const heard = (client, name) => client.named(name).map(({ data }) => data);

describe('recovery', { concurrency: true }, () => {
  for (const { name, mode, parser } of WAYS) {
    test(name, { timeout: 60_000 }, async (t) => {
      const engine = await Engine.start(t, { recovery: true });
      const client = await engine.tap(mode, parser && { parser });
      const news = (first, count) => engine.emit('news', [], { to: ['readers'], count, first });

      await t.test('what was missed comes once, in order, before what is new', async () => {
        await engine.do('join', { socket: client.socket.id, to: ['readers'] });
        await news(0, 3);
        await client.until('news', () => client.named('news').length === 3);
        const id = await away(engine, client, async () => {
          await news(3, 5);
          await engine.emit('gossip', ['not for us'], { to: ['others'] });
          await engine.emit('blink', [], { volatile: true });
        });
        await news(8, 2);
        await client.until('all news', () => client.named('news').length >= 10);
        assert.equal(client.socket.recovered, true);
        assert.equal(client.socket.id, id);
        assert.deepEqual(heard(client, 'news'), numbers(10));
        assert.deepEqual([client.named('gossip').length, client.named('blink').length], [0, 0]);
        assert.deepEqual((await engine.do('rooms', { socket: id })).rooms.sort(), [id, 'readers'].sort());
      });

      const skip = reference && 'a volatile text overwrites the offset there';
      await t.test('text of the application is not taken for an offset', { skip }, async () => {
        await engine.emit('text', ['just text'], { socket: client.socket.id });
        await engine.emit('text', ['more text'], { volatile: true });
        await client.until('the texts', () => client.named('text').length >= 1);
        await away(engine, client, () => news(10, 1));
        await client.until('the news', () => client.named('news').length >= 11);
        assert.equal(client.socket.recovered, true);
        assert.deepEqual(heard(client, 'news'), numbers(11));
      });

      const kept = reference && 'an earlier session of the same pid is found there';
      await t.test('one that has left for good starts anew', { skip: kept }, async () => {
        const { id } = client.socket;
        const { connects } = client;
        client.socket.disconnect();
        await engine.ended(id);
        await news(100, 1);
        client.socket.connect();
        await client.until('the way back', () => client.connects === connects + 1);
        assert.equal(client.socket.recovered, false);
        assert.notEqual(client.socket.id, id);
        assert.equal(await client.ask('ask', 'there?'), 'there?');
        assert.ok(!heard(client, 'news').includes(100));
      });
    });
  }

  test('a session in which nothing has happened', { timeout: 30_000, skip: reference && 'the reference cannot' }, async (t) => {
    const engine = await Engine.start(t, { recovery: true });
    const client = await engine.tap('websocket only');
    const id = await away(engine, client, () => engine.emit('first', [1]));
    await client.until('the first event', () => client.named('first').length);
    assert.equal(client.socket.recovered, true);
    assert.equal(client.socket.id, id);
    assert.equal(client.named('first').length, 1);
  });

  test('another server knows nothing of it', { timeout: 30_000 }, async (t) => {
    const [one, two] = await Promise.all([Engine.start(t, { recovery: true }), Engine.start(t, { recovery: true })]);
    const client = await one.tap('websocket only');
    const { id } = client.socket;
    client.socket.io.uri = two.url;
    client.socket.io.engine.close();
    await client.until('the way to the other', () => client.connects === 2);
    assert.equal(client.socket.recovered, false);
    assert.notEqual(client.socket.id, id);
    assert.equal(await client.ask('ask', 'there?'), 'there?');
  });
});
