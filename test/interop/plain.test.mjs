// The plain WebSocket at /donations: the same feed for those who do not speak Socket.IO. Clauses
// P-30 to P-35.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { past, Server, sign, soon } from './harness.mjs';
import { isTime, logged, placeIn } from './shapes.mjs';
import { plain, tap } from './tap.mjs';

const frames = (list) => list.map(({ event, data }) => ({ name: event, data }));
const live = ({ event, data }) => ({ event, data });

test('the three places of a token', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const { token } = donor;
  const { position } = await server.events(donor);
  const cases = {
    'Authorization': { by: donor },
    'Authorization in another case': { headers: { authorization: `bEARER ${token}` } },
    'Authorization without Bearer': { headers: { authorization: token } },
    'a subprotocol': { protocols: [`bearer.${token}`], chosen: `bearer.${token}` },
    'a subprotocol among others': { protocols: ['larder', `bearer.${token}`], chosen: 'larder' },
    'and in the other order': { protocols: [`bearer.${token}`, 'larder'], chosen: 'larder' },
    'the first message': { first: { event: 'auth', data: { token } } },
    'the first message, with Bearer': { first: { event: 'auth', data: { token: `Bearer ${token}` } } },
    'a slash at the end of the path': { by: donor, path: '/donations/' },
    'a token of another backend': { headers: { authorization: `Bearer ${sign({ sub: 'u1', email: donor.email, exp: soon() })}` } },
  };
  const witness = tap(server, { by: donor });
  await witness.ready();
  for (const [name, { first, chosen = '', ...options }] of Object.entries(cases)) {
    await t.test(name, async () => {
      const client = plain(server, options);
      await client.until('the upgrade', () => client.opened);
      assert.equal(client.socket.protocol, chosen);
      if (first) {
        const early = await server.create(donor); // before it is known who that is
        await witness.until('it is out', () => witness.about(early).length === 1);
        assert.deepEqual(client.frames, [], 'nothing is delivered before the token was checked');
        client.send(first);
      }
      const ready = await client.ready();
      const user = { id: donor.id, role: 'DONOR' };
      assert.deepEqual(client.frames[0], { event: 'feed.ready', data: { position: ready.position, recovered: false, user } });
      if (!first) assert.equal(ready.position.split('-')[0], position.split('-')[0]);
      const donation = await server.create(donor);
      await client.until('the donation', () => client.feed().some(({ data }) => data.id === donation.id));
      assert.equal(client.donations().length, 1);
    });
  }
});

test('a refused token is an exception, then the close', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const gone = await server.account('VOLUNTEER');
  await server.ok('PATCH', `/admin/users/${gone.id}/toggle-status`, { by: await server.admin() });
  const claims = { sub: donor.id, email: donor.email };
  const cases = {
    'rubbish': ['rubbish', 'token_invalid', 'Token is not valid'],
    'expired': [sign({ ...claims, exp: past() }), 'token_expired', 'Token has expired'],
    'alg none': [sign({ ...claims, exp: soon() }, { alg: 'none' }), 'token_invalid', 'Token is not valid'],
    'suspended': [gone.token, 'account_suspended', 'Account is suspended'],
  };
  const places = {
    'header': (token) => ({ headers: { authorization: `Bearer ${token}` } }),
    'subprotocol': (token) => ({ protocols: [`bearer.${token}`] }),
    'first message': (token) => ({ first: { event: 'auth', data: { token } } }),
  };
  const expectRefusal = async ({ first, ...options }, code, message) => {
    const client = plain(server, options);
    await client.until('the upgrade', () => client.opened);
    if (first !== undefined) client.send(first);
    const { code: status, reason } = await client.end();
    assert.deepEqual([status, reason], [1008, code]);
    assert.deepEqual(client.frames, [
      { event: 'exception', data: { status: 'error', message, code, cause: { pattern: 'auth', data: null } } },
    ]);
  };
  for (const [name, [token, code, message]] of Object.entries(cases)) {
    for (const [place, options] of Object.entries(places)) {
      await t.test(`${name}, ${place}`, () => expectRefusal(options(token), code, message));
    }
  }
  const missing = 'A token is needed: Authorization: Bearer <token>';
  const tokenless = [
    'hello', '{}', '[]', 'null', { event: 'test' }, { event: 'auth' }, { event: 'auth', data: {} }, { event: 'auth', data: { token: '' } },
  ];
  for (const first of tokenless) {
    await t.test(`first message ${JSON.stringify(first)}`, () => expectRefusal({ first }, 'token_missing', missing));
  }
});

describe('without a token', { concurrency: true }, () => {
  const wait = async (t, act) => {
    const server = await Server.start(t);
    const client = plain(server);
    await client.until('the upgrade', () => client.opened);
    const began = Date.now();
    const timer = act && setInterval(() => act(client), 500);
    t.after(() => clearInterval(timer));
    const { code, reason } = await client.end(9000);
    assert.deepEqual([code, reason], [1008, 'token_missing']);
    assert.equal(client.frames.at(-1).event, 'exception');
    const took = Date.now() - began;
    assert.ok(took > 4000 && took < 8000, `closed after ${took} ms`);
  };
  test('a silent client is closed after five seconds', { timeout: 20_000 }, (t) => wait(t));
  test('pings do not buy more time', { timeout: 20_000 }, (t) => wait(t, (client) => client.socket.ping()));
});

test('the same events as Socket.IO has, and answers by id', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  const { donor, ngo, volunteer } = await server.people();
  const stock = tap(server, { by: donor });
  const client = plain(server, { by: volunteer });
  const begin = (await client.ready()).position;
  assert.equal((await stock.ready()).position, begin);

  const donation = await server.create(donor, { name: 'Brötchen "frisch" 🥐\u2028<b>' });
  await server.ok('PATCH', `/donations/${donation.id}/claim`, { by: ngo });
  await server.ok('PATCH', `/donations/${donation.id}/status`, { by: volunteer, body: { status: 'PICKED_UP' } });
  await server.ok('PATCH', `/donations/${donation.id}/deliver`, { by: volunteer });
  // What is the account's own is not the same for two: each against its own log, the donations to each other.
  const { last, ...log } = await server.events(volunteer, begin);
  const donors = await server.events(donor, begin);
  await Promise.all([client.reached(last), stock.reached(donors.last)]);
  assert.deepEqual(client.feed(), log.events.map(live));
  assert.deepEqual(stock.feed().map(logged), donors.events);
  assert.deepEqual(frames(client.donations()), stock.donations().map(({ name, data }) => ({ name, data })));
  assert.equal(client.donations().length, 4);
  assert.ok(client.named('notification').length > 0 && stock.named('notification').length > 0, 'there is something of their own');
  assert.deepEqual(frames(client.feed()).map(logged), log.events);

  // Answers: with an id to it, without an id as an event alone.
  for (const id of [1, 0, -7, 'a', '', 'ünï', 9007199254740991]) {
    client.send({ event: 'test', id });
    const answer = await client.answer(id);
    assert.deepEqual(answer, { id, data: { message: 'Pong!', timestamp: isTime(answer.data.timestamp) } });
  }
  assert.equal(client.named('test-response').length, 7);
  client.send({ event: 'feed.resume', data: { after: begin }, id: 'resume' });
  assert.deepEqual((await client.answer('resume')).data, { ...log, recovered: true, more: false });

  const wrong = [
    ['not json', 'bad_request', '', null],
    ['{"data":1}', 'bad_request', '', 1],
    [{ event: 'nonsense', data: { a: 1 }, id: 'n' }, 'not_found', 'nonsense', { a: 1 }],
    [{ event: 'feed.resume', data: null, id: 'x' }, 'validation_failed', 'feed.resume', null],
    [{ event: 'feed.resume', data: {}, id: 'y' }, 'validation_failed', 'feed.resume', {}],
    [{ event: 'feed.resume', data: 5, id: 'z' }, 'validation_failed', 'feed.resume', 5],
  ];
  for (const [i, [frame, code, pattern, data]] of wrong.entries()) {
    client.send(frame);
    await client.until('an exception', () => client.named('exception').length > i);
    const { data: exception } = client.named('exception')[i];
    assert.deepEqual(exception, { status: 'error', message: exception.message, code, cause: { pattern, data } });
    if (frame.id) assert.deepEqual(await client.answer(frame.id), { id: frame.id, data: exception });
  }
  client.send({ event: 'auth', data: { token: 'late' }, id: 'auth' });
  await client.answer('auth');
  assert.equal(client.closed, null, 'the connection stays');
});

test('resume with after', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const user = { id: donor.id, role: 'DONOR' };
  const before = await server.events(donor);
  for (let i = 0; i < 5; i++) await server.create(donor);
  const { events, position, last } = await server.events(donor, before.position);
  const after = (at) => plain(server, { by: donor, path: `/donations?after=${encodeURIComponent(at)}` });

  const late = after(events[1].position);
  const up = after(position);
  const [epoch, seq] = position.split('-');
  const ahead = after(placeIn(epoch, parseInt(seq, 10) + 10));
  const strange = after('yesterday');
  assert.deepEqual(await late.ready(), { position: events[1].position, recovered: true, user });
  assert.deepEqual(await up.ready(), { position, recovered: true, user });
  assert.deepEqual(await ahead.ready(), { position, recovered: false, reason: 'ahead', user });
  assert.deepEqual(await strange.ready(), { position, recovered: false, reason: 'position', user });
  await late.reached(last);
  const more = await server.create(donor);
  const end = await server.events(donor, position);
  assert.equal(end.events[0].data.id, more.id);
  for (const client of [late, up, ahead, strange]) {
    await client.reached(end.last);
    const missed = client === late ? events.slice(2) : [];
    assert.deepEqual(client.frames.slice(1), [...missed, ...end.events].map(live));
    assert.equal(client.frames[0].event, 'feed.ready');
  }
});

test('resuming while donations stream in leaves no hole and repeats nothing', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const { position } = await server.events(donor);
  let more = true;
  const writers = Array.from({ length: 6 }, async () => {
    while (more) await server.create(donor);
  });
  const clients = [];
  for (let i = 0; i < 12; i++) {
    const client = plain(server, { by: donor, path: `/donations?after=${position}` });
    clients.push(client);
    await client.until('more donations', () => client.feed().length > 25 * (i + 1));
  }
  more = false;
  await Promise.all(writers);
  const { events, last } = await server.events(donor, position);
  for (const client of clients) {
    await client.reached(last);
    assert.deepEqual(client.feed().map(({ data }) => data.position), events.map((event) => event.position));
  }
});

test('what a client may not send ends its connection, with a code that says why', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const cases = [
    ['binary', (client) => client.socket.send(Buffer.from('{"event":"test"}')), 1003],
    ['too large', (client) => client.send({ event: 'test', data: 'x'.repeat(100_000) }), 1009],
    ['goodbye', (client) => client.socket.close(1000), 1000],
  ];
  for (const [name, act, code] of cases) {
    await t.test(name, async () => {
      const client = plain(server, { by: donor });
      await client.ready();
      act(client);
      assert.equal((await client.end()).code, code);
    });
  }
});
