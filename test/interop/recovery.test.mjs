// The stock client comes back as the socket that it was, with no code of its own, or is told why
// not. Clauses P-8, P-23, P-26, S-50 to S-55.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Server, until } from './harness.mjs';
import { logged, placeIn, sameList } from './shapes.mjs';
import { MODES, tap } from './tap.mjs';

const lost = (each) => until('the connection is lost', () => each.drops.length > 0);

// cut breaks a connection as a network does; the client comes back by itself.
function cut(each) {
  each.socket.io.engine.close();
}

describe('recovery', { concurrency: true }, () => {
  for (const [mode, { options }] of Object.entries(MODES)) {
    test(`a quiet client, ${mode}`, { timeout: 20_000 }, async (t) => {
      const server = await Server.start(t);
      const donor = await server.account('DONOR');
      let gate = Promise.resolve();
      const each = tap(server, { by: donor, auth: (tell) => gate.then(() => tell({ token: donor.token })), ...options });
      const { position } = await each.ready();
      const { id } = each.socket;
      let open;
      gate = new Promise((resolve) => (open = resolve));
      cut(each);
      await lost(each);
      const made = await server.create(donor);
      open();
      assert.deepEqual(await each.ready(2), { position, recovered: true, user: { id: donor.id, role: 'DONOR' } });
      await each.until('what it missed', () => each.about(made).length === 1);
      assert.deepEqual([each.socket.recovered, each.socket.id], [true, id]);
      const more = await server.create(donor);
      await each.until('what is new', () => each.about(more).length === 1);
      const log = await server.events(donor, position);
      await each.reached(log.last);
      assert.deepEqual(each.feed().map(logged), log.events, 'all of it, once and in order');
      assert.equal(each.donations().length, 2);
    });
  }

  // refused brings a client back with an offset of the test's choice.
  for (const [name, offset, reason] of [
    ['an alien offset', () => 'yesterday', 'offset'],
    ['an offset that nobody was told', (p) => placeIn(p.split('-')[0], parseInt(p.split('-')[1], 10) + 9), 'offset'],
    ['an offset of another log', () => placeIn('aaaaaaaaaaaa', 1), 'epoch'],
  ]) {
    test(name, { timeout: 20_000 }, async (t) => {
      const server = await Server.start(t);
      const donor = await server.account('DONOR');
      const each = tap(server, { by: donor });
      const { position } = await each.ready();
      const { id } = each.socket;
      each.socket._lastOffset = offset(position);
      cut(each);
      assert.deepEqual(await each.ready(2), { position, recovered: false, reason, user: { id: donor.id, role: 'DONOR' } });
      assert.equal(each.socket.recovered, false);
      assert.notEqual(each.socket.id, id);
      const made = await server.create(donor);
      await each.until('what is new', () => each.about(made).length === 1);
    });
  }

  test('a socket that left on purpose begins anew', { timeout: 20_000 }, async (t) => {
    const server = await Server.start(t);
    const donor = await server.account('DONOR');
    const each = tap(server, { by: donor, transports: ['websocket'] });
    await each.ready();
    const { engine } = each.socket.io;
    each.socket.disconnect();
    await until('the connection is closed', () => engine.readyState === 'closed');
    await server.create(donor); // by now the server has read what it was told before
    each.socket.connect();
    const ready = await each.ready(2);
    assert.deepEqual([ready.recovered, ready.reason], [false, 'ended']);
  });

  test('the pid of another account is worth nothing', { timeout: 20_000 }, async (t) => {
    const server = await Server.start(t);
    const [donor, other] = [await server.account('DONOR'), await server.account('NGO')];
    const mine = tap(server, { by: donor });
    const { position } = await mine.ready();
    const theirs = tap(server, { by: other, auth: { token: other.token, pid: mine.socket._pid, offset: position } });
    const ready = await theirs.ready();
    assert.deepEqual([ready.recovered, ready.reason, ready.user.id], [false, 'unknown', other.id]);
    assert.equal(mine.socket.connected, true, 'and closes nobody else');
    assert.notEqual(theirs.socket.id, mine.socket.id);
  });

  test('a newer connection takes over from the older', { timeout: 20_000 }, async (t) => {
    const server = await Server.start(t);
    const donor = await server.account('DONOR');
    const older = tap(server, { by: donor, reconnection: false });
    const { position } = await older.ready();
    const { id, _pid: pid } = older.socket;
    const newer = tap(server, { by: donor, auth: { token: donor.token, pid, offset: position } });
    assert.equal((await newer.ready()).recovered, true);
    assert.equal(newer.socket.id, id);
    await lost(older);
    const made = await server.create(donor);
    await newer.until('the event', () => newer.about(made).length === 1);
    assert.equal(older.about(made).length, 0);
  });

  test('an account that was suspended meanwhile gets nothing', { timeout: 20_000 }, async (t) => {
    const server = await Server.start(t);
    const { donor, ngo, admin } = await server.people();
    let gate = Promise.resolve();
    const each = tap(server, { by: ngo, auth: (tell) => gate.then(() => tell({ token: ngo.token })) });
    await each.ready();
    let open;
    gate = new Promise((resolve) => (open = resolve));
    cut(each);
    await lost(each);
    await server.create(donor);
    await server.ok('PATCH', `/admin/users/${ngo.id}/toggle-status`, { by: admin });
    open();
    const err = await each.refused();
    assert.deepEqual(err.data, { code: 'account_suspended', retry: false });
    assert.equal(each.feed().length, 0);
    assert.equal(each.events.length, 1, 'feed.ready of the first time');
  });
});

describe('a narrowed feed', { concurrency: true }, () => {
  const PRAGUE = { latitude: 50.0755, longitude: 14.4378 };
  const BRNO = { latitude: 49.1951, longitude: 16.6068 };
  const near = { area: { lat: PRAGUE.latitude, lng: PRAGUE.longitude, radiusKm: 20 }, statuses: ['AVAILABLE'] };

  for (const [mode, { options }] of Object.entries(MODES)) {
    test(`snapshot, live and replay agree, ${mode}`, { timeout: 30_000 }, async (t) => {
      const server = await Server.start(t);
      const { donor, ngo } = await server.people();
      const [here, there] = [await server.create(donor, PRAGUE), await server.create(donor, BRNO)];
      let gate = Promise.resolve();
      const each = tap(server, { by: ngo, auth: (tell) => gate.then(() => tell({ token: ngo.token })), ...options });
      const begin = (await each.ready()).position;
      const snapshot = await each.ask('feed.subscribe', near);
      assert.deepEqual(snapshot.items.map(({ id }) => id), [here.id]);
      assert.equal(snapshot.more, false);
      await each.until('feed.position', () => each.named('feed.position').length === 1);
      assert.deepEqual(each.named('feed.position')[0].data, { position: snapshot.position });

      const claim = (d, command, body) => server.ok('PATCH', `/donations/${d.id}/${command}`, { by: ngo, body });
      await claim(here, 'claim');
      await claim(there, 'claim');
      await claim(here, 'release', { reason: 'closed' });
      const fresh = await server.create(donor, PRAGUE);
      const others = ['feed.ready', 'feed.position', 'notification', 'volunteer.assigned']; // what no view narrows
      const names = () => each.events.filter(({ name }) => !others.includes(name)).map(({ name, data }) => [name, data.id ?? data.donationId ?? data.donation.id]);
      const live = [['feed.left', here.id], ['feed.entered', here.id], ['donation.created', fresh.id]];
      await each.until('the live events', () => names().length >= live.length);
      assert.deepEqual(names(), live);
      const [left, entered] = [each.named('feed.left')[0].data, each.named('feed.entered')[0].data];
      assert.deepEqual([left.status, left.previousStatus, left.event, left.version], ['CLAIMED', 'AVAILABLE', 'donation.claimed', 2]);
      assert.deepEqual([entered.event, entered.version, entered.donation.name, entered.donation.status], ['donation.status.updated', 3, here.name, 'AVAILABLE']);

      // The same through a restart, with no code of its own.
      let open;
      gate = new Promise((resolve) => (open = resolve));
      await server.stop('SIGKILL');
      await server.launch();
      await claim(fresh, 'claim');
      const late = await server.create(donor, PRAGUE);
      await server.create(donor, BRNO);
      open();
      assert.equal((await each.ready(2, 15_000)).recovered, true);
      live.push(['feed.left', fresh.id], ['donation.created', late.id]);
      await each.until('what it missed', () => names().length >= live.length);
      await claim(late, 'claim');
      live.push(['feed.left', late.id]);
      await each.until('what is new', () => names().length >= live.length);
      assert.deepEqual(names(), live);

      // What is the account's own was never narrowed, and came once, through all of that.
      const mine = (await server.events(ngo, begin)).events.filter(({ event }) => !event.startsWith('donation.'));
      await each.reached(mine.at(-1).position);
      const own = () => each.feed().filter(({ name }) => !name.startsWith('donation.')).map(logged);
      sameList(own(), mine, each.label);
      const elsewhere = mine.filter(({ event, data }) => event === 'notification' && data.type === 'new_food_nearby');
      assert.equal(elsewhere.length, 3, 'one of them in Brno');

      // And the whole feed again.
      const whole = await each.ask('feed.subscribe', {});
      assert.equal(whole.items.length, 5);
      const last = await server.create(donor, BRNO);
      await each.until('an event from elsewhere', () => each.about(last).length === 1);
    });
  }

  test('what is wrong is said', { timeout: 20_000 }, async (t) => {
    const server = await Server.start(t);
    const donor = await server.account('DONOR');
    const each = tap(server, { by: donor });
    await each.ready();
    const answer = await each.ask('feed.subscribe', { area: { lat: 91, lng: 0, radiusKm: 5 }, statuses: ['EATEN'] });
    assert.deepEqual([answer.status, answer.code], ['error', 'validation_failed']);
    const made = await server.create(donor);
    await each.until('the whole feed still', () => each.about(made).length === 1);
  });
});

test('server-sent events resume by Last-Event-ID', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const headers = { authorization: `Bearer ${donor.token}`, accept: 'text/event-stream' };
  const open = async (more = {}) => {
    const answer = await fetch(`${server.url}/events`, { headers: { ...headers, ...more } });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    server.clients.add({ close: () => reader.cancel().catch(() => {}) });
    let text = '';
    return async () => {
      while (!text.includes('\n\n')) text += (await reader.read()).value;
      const [block, ...rest] = text.split('\n\n');
      text = rest.join('\n\n');
      const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)));
      return { name: fields.event, id: fields.id, data: JSON.parse(fields.data) };
    };
  };
  const first = await open();
  const ready = await first();
  assert.deepEqual([ready.name, ready.data.recovered], ['feed.ready', false]);
  const one = await server.create(donor);
  const heard = await first();
  assert.deepEqual([heard.name, heard.data.id, heard.data.position], ['donation.created', one.id, heard.id]);
  const two = await server.create(donor);
  const missed = await server.events(donor, heard.id);
  const second = await open({ 'last-event-id': heard.id });
  assert.equal((await second()).data.recovered, true);
  const asLogged = async (next, { events }) => {
    for (const { event, data, position } of events) {
      assert.deepEqual(await next(), { name: event, id: position, data }, 'as it is in the log');
    }
  };
  await asLogged(second, missed);
  const three = await server.create(donor);
  const more = await server.events(donor, missed.position);
  await asLogged(second, more);
  await asLogged(first, missed);
  await asLogged(first, more);
  const log = await server.events(donor, ready.data.position);
  assert.deepEqual([heard.name, heard.data], [log.events[0].event, log.events[0].data], 'as it is in the log');
  const listed = log.events.filter(({ event }) => event.startsWith('donation.'));
  assert.deepEqual(listed.map(({ data }) => data.id), [one, two, three].map(({ id }) => id));
  const refused = await fetch(`${server.url}/events`, { headers: { accept: 'text/event-stream' } });
  assert.deepEqual([refused.status, (await refused.json()).code], [401, 'token_missing']);
});
