// SIGTERM: everybody is told, every request is answered, and the process ends by itself; a second one
// ends it at once. Clauses P-17, E-31, E-65.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';
import { MODES, NAMESPACES, plain, tap } from './tap.mjs';

// Poll is a polling session by hand.
class Poll {
  constructor(server) {
    this.server = server;
    this.path = '/socket.io/?EIO=4&transport=polling';
  }

  async open() {
    const { status, body } = await this.get();
    assert.equal(status, 200);
    this.path += `&sid=${JSON.parse(body.slice(1)).sid}`;
    return this;
  }

  async get() {
    const { status, body } = await this.server.request('GET', this.path);
    return { status, body: body.toString() };
  }

  async join(namespace, token) {
    const { body } = await this.server.request('POST', this.path, {
      headers: { 'content-type': 'text/plain;charset=UTF-8' }, body: `40${namespace},${JSON.stringify({ token })}`,
    });
    assert.equal(body.toString(), 'ok');
    for (let heard = ''; !heard.includes('feed.ready'); ) heard += (await this.get()).body;
    return this;
  }
}

test('an orderly stop', { timeout: 40_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const taps = [];
  for (const [mode, { options }] of Object.entries(MODES)) {
    for (const namespace of NAMESPACES) taps.push(tap(server, { by: donor, namespace, label: mode, ...options }));
  }
  const multiplexed = tap(server, { by: donor });
  taps.push(multiplexed, multiplexed.ours('/', { token: donor.token }));
  const direct = [plain(server, { by: donor }), plain(server, { by: donor })];
  await Promise.all([...taps, ...direct].map((each) => each.ready()));

  const joined = await new Poll(server).open().then((poll) => poll.join('/donations', donor.token));
  const silent = await new Poll(server).open(); // joins nothing
  const absent = await new Poll(server).open().then((poll) => poll.join('/donations', donor.token)); // holds no poll
  assert.ok(absent);
  const held = [];
  for (const poll of [joined, silent]) {
    const answers = [];
    const drain = async () => {
      // The client asks again until it is told that the session is over.
      while (!answers.some(({ body }) => body.split('\x1e').includes('1'))) answers.push(await poll.get());
    };
    held.push({ answers, end: drain() });
  }
  const stray = plain(server); // has shown no token yet
  await stray.until('the upgrade', () => stray.opened);
  // A donation that everybody hears shows that all of them wait now.
  const donation = await server.create(donor);
  await Promise.all(taps.map((each) => each.until('the donation', () => each.about(donation).length)));
  await until('the held poll', () => held[0].answers.some(({ body }) => body.includes(donation.id)));

  const { code, signal, ms } = await server.stop('SIGTERM');
  assert.deepEqual([code, signal], [0, null], server.log);
  assert.ok(ms < 5000, `stopped after ${ms} ms`);

  for (const each of taps) {
    await each.until('the disconnect', () => each.drops.length);
    const told = each.named('server.draining');
    assert.equal(told.length, 1, `${each.label}: ${each}`);
    assert.deepEqual(Object.keys(told[0].data), ['reconnectInMs']);
    assert.ok(Number.isInteger(told[0].data.reconnectInMs) && told[0].data.reconnectInMs > 0);
    assert.deepEqual(each.drops, ['transport close']);
    assert.equal(each.socket.active, true, 'a stock client will come back');
    assert.equal(each.events.at(-1).name, 'server.draining', 'nothing comes after it');
  }
  for (const each of direct) {
    assert.equal((await each.end()).code, 1012);
    const last = each.frames.at(-1);
    assert.equal(last.event, 'server.draining');
    assert.ok(last.data.reconnectInMs > 0);
  }
  assert.equal((await stray.end()).code, 1012);
  for (const { answers, end } of held) {
    await end; // every poll was answered: a broken connection would reject
    assert.ok(answers.every(({ status }) => status === 200), JSON.stringify(answers));
  }
  assert.equal(held[0].answers.filter(({ body }) => body.includes('server.draining')).length, 1);
});

test('many clients leave in steps, each with a time of its own', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t, { DRAIN_TIME: '2s' });
  const donor = await server.account('DONOR');
  const taps = Array.from({ length: 90 }, (_, n) => {
    return tap(server, { by: donor, label: `client ${n}`, transports: [n % 2 ? 'websocket' : 'polling'] });
  });
  const ends = taps.map(({ socket }) => {
    const end = {};
    socket.on('server.draining', ({ reconnectInMs }) => Object.assign(end, { told: Date.now(), reconnectInMs }));
    socket.on('disconnect', () => (end.left = Date.now()));
    return end;
  });
  await Promise.all(taps.map((each) => each.ready()));

  const began = Date.now();
  const { code, signal, ms } = await server.stop('SIGTERM');
  assert.deepEqual([code, signal], [0, null], server.log);
  assert.ok(ms < 7000, `stopped after ${ms} ms`);
  await Promise.all(taps.map((each) => each.until('the disconnect', () => each.drops.length)));
  const times = new Set(ends.map(({ reconnectInMs }) => reconnectInMs));
  assert.ok(times.size > 45, `${times.size} different times to return`);
  assert.ok(Math.min(...times) >= 1000 && Math.max(...times) <= 2200, [...times].join());
  for (const { told, left, reconnectInMs } of ends) assert.ok(left < told + reconnectInMs, 'sent away before it may return');
  // Five turns, 50 ms apart. Clients and server may be late on a slow machine, and not early.
  assert.ok(Math.max(...ends.map(({ left }) => left)) - began >= 199, 'the last turn comes after 200 ms');
});

test('a second signal ends the process in the middle of the drain', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const absent = await new Poll(server).open().then((poll) => poll.join('/donations', donor.token));
  assert.ok(absent, 'holds no poll: the server waits a second for it');
  const stopped = server.stop('SIGTERM');
  await until('the beginning of the stop', () => server.log.includes('"msg":"stopping"'), { server });
  server.child.kill('SIGTERM');
  const { code, signal } = await stopped;
  assert.deepEqual([code, signal], [null, 'SIGTERM'], server.log);
  assert.ok(!server.log.includes('"msg":"stopped"'), server.log);
});

test('a stop with nobody there is quick', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  await server.ok('GET', '/donations'); // leaves an idle connection behind
  const { code, ms } = await server.stop('SIGTERM');
  assert.equal(code, 0);
  assert.ok(ms < 2000, `stopped after ${ms} ms`);
});
