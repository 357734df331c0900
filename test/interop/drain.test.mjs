// SIGTERM: everybody is told, every request is answered, and the process ends by itself. Clauses
// P-17, E-31.

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

test('a stop with nobody there is quick', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  await server.ok('GET', '/donations'); // leaves an idle connection behind
  const { code, ms } = await server.stop('SIGTERM');
  assert.equal(code, 0);
  assert.ok(ms < 2000, `stopped after ${ms} ms`);
});
