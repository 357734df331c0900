// Namespaces on one connection, who may join them, and rooms in them. Clauses S-1 to S-12, S-40, S-41.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Engine, numbers, reference } from './engine.mjs';
import { MODES } from './tap.mjs';

const eachMode = (name, run, options) => describe(name, { concurrency: true }, () => {
  for (const mode of Object.keys(MODES)) {
    test(mode, { timeout: 30_000 }, async (t) => run(await Engine.start(t, options), mode));
  }
});

eachMode('many namespaces on one connection', async (engine, mode) => {
  const main = await engine.tap(mode);
  const taps = [main, ...numbers(7).map((i) => main.ours(`/${i + 1}`, { number: i + 1 }))];
  await Promise.all(taps.map((each) => each.until('welcome', () => each.named('welcome').length)));
  assert.deepEqual(taps.map((each) => each.events[0].data), [{}, ...numbers(7).map((i) => ({ number: i + 1 }))]);
  assert.equal(new Set(taps.map(({ socket }) => socket.id)).size, 8, 'each has an id of its own');

  // The ninth is refused, and the others do not notice.
  const ninth = main.ours('/8');
  if (reference) {
    await ninth.until('welcome', () => ninth.named('welcome').length); // it has no such limit
  } else {
    await ninth.until('a refusal', () => ninth.errors.length);
    assert.match(ninth.errors[0].message, /namespaces/i);
    assert.equal(ninth.connects, 0);
  }
  // So is one that does not exist.
  const unknown = main.ours('/nowhere');
  await unknown.until('a refusal', () => unknown.errors.length);
  if (!reference) assert.notEqual(unknown.errors[0].message, ninth.errors[0].message);
  assert.equal(unknown.errors[0].message, 'Invalid namespace');
  assert.equal(unknown.connects, 0);

  // Interleaved, both ways, with binary among them: none comes to another.
  for (const n of numbers(40)) {
    for (const [i, { socket }] of taps.entries()) socket.emit('echo', n, i, ...(n % 3 ? [] : [Buffer.from([i, n])]));
  }
  await Promise.all(taps.map((each, i) => engine.emit('pushed', [i], { nsp: i ? `/${i}` : '/', count: 40 })));
  for (const [i, each] of taps.entries()) {
    await each.until('all', () => each.named('echo').length === 40 && each.named('pushed').length === 40);
    const echoes = numbers(40).map((n) => [n, i, ...(n % 3 ? [] : [Buffer.from([i, n])])]);
    assert.deepEqual(each.named('echo').map(({ args }) => args), echoes);
    assert.deepEqual(each.named('pushed').map(({ args }) => args), numbers(40).map((n) => [n, i]));
  }

  // One that goes, by either side, leaves the others.
  const [, one, two] = taps;
  const ids = [one.socket.id, two.socket.id];
  one.socket.disconnect();
  await engine.do('disconnect', { nsp: '/2', socket: ids[1] });
  await two.until('the end', () => two.drops.length);
  assert.deepEqual([one.drops, two.drops], [['io client disconnect'], ['io server disconnect']]);
  assert.deepEqual([await engine.ended(ids[0]), await engine.ended(ids[1])], ['client namespace disconnect', 'server namespace disconnect']);
  const rest = taps.filter((each) => each !== one && each !== two);
  assert.deepEqual(await Promise.all(rest.map((each, i) => each.ask('ask', i))), rest.map((_, i) => i));
  assert.ok(rest.every(({ connects, drops }) => connects === 1 && drops.length === 0));

  // There is room again.
  one.socket.connect();
  await one.until('the second connection', () => one.connects === 2);
  assert.notEqual(one.socket.id, ids[0]);
  assert.equal(await one.ask('ask', 'back'), 'back');
  assert.equal(main.path.length, MODES[mode].path.length, 'all on one connection');
});

eachMode('a namespace that does not exist', async (engine, mode) => {
  const client = engine.client(mode, { namespace: '/nowhere?token=1' });
  await client.until('a refusal', () => client.errors.length);
  assert.equal(client.errors[0].message, 'Invalid namespace');
  assert.equal(client.errors[0].data, undefined);
  assert.equal(client.socket.active, false, 'it does not try again by itself');
  const main = client.ours('/');
  await main.until('welcome', () => main.named('welcome').length);
  assert.equal(await main.ask('ask', 1), 1);
});

eachMode('a middleware that refuses', async (engine, mode) => {
  const main = await engine.tap(mode); // keeps the connection
  const client = main.ours('/guarded', { token: 'wrong 🍞' });
  const refused = await client.refused();
  assert.equal(refused.message, 'wrong token');
  assert.deepEqual(refused.data, { code: 7, token: 'wrong 🍞' });
  assert.equal(client.socket.active, false);
  // Again, with what is right.
  client.socket.auth = { token: 'open sesame', rooms: ['kitchen', 'bar'] };
  client.socket.connect();
  await client.until('welcome', () => client.named('welcome').length);
  assert.deepEqual(client.named('welcome')[0].data, client.socket.auth);
  const { rooms } = await engine.do('rooms', { nsp: '/guarded', socket: client.socket.id });
  assert.deepEqual(new Set(rooms), new Set([client.socket.id, 'kitchen', 'bar']));
  const joined = engine.log.filter(({ what, nsp }) => what === 'connect' && nsp === '/guarded');
  assert.deepEqual(joined.map(({ id }) => id), [client.socket.id], 'OnConnect heard of one');
  assert.deepEqual([main.connects, main.drops, main.path], [1, [], MODES[mode].path]);
});

eachMode('auth as a function is asked for each connection', async (engine, mode) => {
  let asked = 0;
  const auth = (give) => setTimeout(() => give({ token: 'open sesame', asked: ++asked }), 5);
  const client = engine.client(mode, { namespace: '/guarded', auth });
  await client.until('welcome', () => client.named('welcome').length);
  await engine.do('close', { nsp: '/guarded', socket: client.socket.id });
  await client.until('the second welcome', () => client.named('welcome').length === 2);
  assert.deepEqual(client.named('welcome').map(({ data }) => data.asked), [1, 2]);
});

eachMode('rooms', async (engine, mode) => {
  const clients = await Promise.all(numbers(5).map(() => engine.tap(mode)));
  const [a, b, c, d] = clients;
  const id = (client) => client.socket.id;
  const join = (client, ...to) => engine.do('join', { socket: id(client), to });
  await Promise.all([join(a, 'red'), join(b, 'red', 'blue'), join(c, 'blue'), join(d, 'red', 'blue', 'green')]);

  const rounds = [
    [{}, [0, 1, 2, 3, 4]],
    [{ to: ['red'] }, [0, 1, 3]],
    [{ to: ['red', 'blue'] }, [0, 1, 2, 3]],
    [{ to: ['red', 'red', 'green'] }, [0, 1, 3]],
    [{ to: ['nobody'] }, []],
    [{ to: [id(c)] }, [2]],
    [{ except: ['red'] }, [2, 4]],
    [{ except: ['red', 'blue'] }, [4]],
    [{ to: ['blue'], except: ['green'] }, [1, 2]],
    [{ to: ['blue', id(a)], except: [id(d), 'nobody'] }, [0, 1, 2]],
  ];
  for (const [i, [order]] of rounds.entries()) await engine.emit('round', [i], order);
  const expected = clients.map((_, n) => rounds.flatMap(([, who], i) => (who.includes(n) ? [i] : [])));
  await heard('round', expected);

  // A broadcast of one of them: to all, to rooms, and never to itself.
  await b.ask('broadcast', [], 'all');
  await b.ask('broadcast', ['red'], 'red');
  await b.ask('broadcast', ['red', 'blue'], 'both');
  await heard('news', [['all', 'red', 'both'], [], ['all', 'both'], ['all', 'red', 'both'], ['all']]);

  await engine.do('leave', { socket: id(d), to: ['red', 'blue'] });
  await join(d, 'green'); // once more
  await engine.emit('later', [1], { to: ['red', 'blue'] });
  await engine.emit('later', [2], { to: ['green'] });
  await heard('later', [[1], [1], [1], [2], []]);

  // Who has gone is in no room.
  const gone = id(b);
  b.socket.disconnect();
  await engine.ended(gone);
  assert.deepEqual((await engine.do('sockets', { to: ['red'] })).sockets, [id(a)]);
  assert.deepEqual((await engine.do('sockets', { to: [gone] })).sockets ?? [], []);

  async function heard(name, lists) {
    await engine.emit('barrier', [name]);
    for (const [n, client] of clients.entries()) {
      await client.until('the barrier', () => client.named('barrier').at(-1)?.data === name);
      assert.deepEqual(client.named(name).map(({ data }) => data), lists[n], `client ${n}`);
    }
  }
});

eachMode('a connection that joins nothing is closed', async (engine, mode) => {
  const client = engine.client(mode, { auth: () => {}, reconnection: false }); // its auth never comes
  let reason;
  client.socket.io.on('close', (why) => (reason = why));
  await client.until('the end', () => reason);
  assert.equal(reason, 'transport close');
  assert.equal(client.connects, 0);
}, { connectTimeout: 300 });
