// The whole life of donations, as several clients at once hear it: every payload field by field,
// each event once, in one order, and the same as REST tells. Clauses P-1, P-5, P-6, P-10 to P-12,
// E-44 to E-51.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BAKERY, draft, inFuture, Server, until } from './harness.mjs';
import { changed, claimedEvent, createdEvent, isPosition, isTime, logged, newDonation, sameList, statusEvent } from './shapes.mjs';
import { MODES, NAMESPACES, tap } from './tap.mjs';

describe('the life of a donation', { concurrency: true }, () => {
  for (const [mode, { options, path }] of Object.entries(MODES)) {
    test(mode, { timeout: 30_000 }, (t) => life(t, options, path));
  }
});

// TOLD are the notifications of everybody in this life, by type: nobody is told what he did himself.
const TOLD = {
  donor: [
    'badge_earned', 'food_claimed', 'food_picked_up', 'delivery_confirmed', 'badge_earned', 'food_claimed', 'claim_released',
    'food_claimed', 'claim_released', 'donation_expired',
  ],
  ngo: [
    'new_food_nearby', 'badge_earned', 'food_picked_up', 'delivery_confirmed', 'new_food_nearby', 'new_food_nearby',
    'new_food_nearby', 'donation_expired', 'new_food_nearby',
  ],
  volunteer: [
    'new_food_nearby', 'badge_earned', 'badge_earned', // two at once, for the delivery
    'new_food_nearby', 'new_food_nearby', 'new_food_nearby', 'new_food_nearby',
  ],
};

async function life(t, options, path) {
  const server = await Server.start(t);
  const people = await server.people();
  const { donor, ngo, volunteer, admin } = people;

  // One connection for each of three people, with both namespaces on it.
  const taps = [];
  for (const by of [donor, ngo, volunteer]) {
    const first = tap(server, { by, ...options });
    taps.push(first, first.ours('/', { token: by.token }));
  }
  const before = await server.events(admin);
  for (const each of taps) {
    const by = people[each.label.split(' ')[0].toLowerCase()];
    assert.deepEqual(await each.ready(), { position: before.position, recovered: false, user: { id: by.id, role: by.role } });
    assert.notEqual(each.socket.id, each.socket.io.engine.id, 'a socket id is not the id of the session');
  }
  for (const each of taps) {
    await each.until(`transports ${path}`, () => each.path.length >= path.length);
    assert.deepEqual(each.path, path);
    assert.equal(each.socket.io.engine.transport.name, path.at(-1));
  }

  const expected = []; // functions that take a position
  const expect = (event) => expected.push(event);

  // Created with everything, claimed, picked up, delivered.
  const full = draft({
    name: 'Gemüse-Curry 🍛', foodType: 'Vegetables', quantity: 12.5, unit: 'kg', latitude: -33.8688, longitude: 151.2093,
    description: 'two "big" pots\n\u001e\u2028</script> & more', address: 'Kauf­str. 1, Ⅻ', specialInstructions: 'ring twice',
    imageUrls: ['https://img.example/a.jpg?x=1&y=2', 'http://img.example/b.png'], hygiene: { covered: true, scale: [1, 2.5, null] },
    preparationTime: new Date(Date.now() - 600_000).toISOString(),
  });
  let one = await server.create(donor, full);
  assert.deepEqual(one, newDonation(full, donor, BAKERY, one));
  expect(createdEvent.bind(null, one));

  const pickup = inFuture(1800_000);
  let answer = await server.ok('PATCH', `/donations/${one.id}/claim`, { by: ngo, body: { estimatedPickupTime: pickup } });
  one = changed(one, answer, { status: 'CLAIMED', claimedById: ngo.id, claimedAt: true, estimatedPickupTime: pickup });
  assert.deepEqual(answer, one);
  expect(claimedEvent.bind(null, one));

  answer = await server.ok('PATCH', `/donations/${one.id}/status`, { by: volunteer, body: { status: 'PICKED_UP' } });
  one = changed(one, answer, { status: 'PICKED_UP', volunteerId: volunteer.id, pickedUpBy: volunteer.id, pickedUpAt: true });
  assert.deepEqual(answer, one);
  expect(statusEvent.bind(null, one, 'CLAIMED', volunteer.id, null));

  answer = await server.ok('PATCH', `/donations/${one.id}/deliver`, { by: volunteer });
  one = changed(one, answer, { status: 'DELIVERED', deliveredBy: volunteer.id, deliveredAt: true });
  assert.deepEqual(answer, { ...one, karmaAwarded: 50, donorKarmaAwarded: 30 });
  expect(statusEvent.bind(null, one, 'PICKED_UP', volunteer.id, null));

  // Delivered again by the same: 200, and nothing twice.
  answer = await server.ok('PATCH', `/donations/${one.id}/deliver`, { by: volunteer });
  assert.deepEqual(answer, { ...one, karmaAwarded: 0, donorKarmaAwarded: 0 });

  // Created with as little as possible, claimed, released, claimed, released with a reason, cancelled.
  const least = draft();
  let two = await server.create(donor, least);
  assert.deepEqual(two, newDonation(least, donor, BAKERY, two));
  expect(createdEvent.bind(null, two));
  for (const reason of [null, 'van broke down']) {
    answer = await server.ok('PATCH', `/donations/${two.id}/claim`, { by: ngo });
    two = changed(two, answer, { status: 'CLAIMED', claimedById: ngo.id, claimedAt: true });
    assert.deepEqual(answer, two);
    expect(claimedEvent.bind(null, two));

    answer = await server.ok('PATCH', `/donations/${two.id}/release`, { by: ngo, ...(reason && { body: { reason } }) });
    two = changed(two, answer, { status: 'AVAILABLE', claimedById: null, claimedAt: null });
    assert.deepEqual(answer, two);
    expect(statusEvent.bind(null, two, 'CLAIMED', ngo.id, reason));
  }
  answer = await server.ok('PATCH', `/donations/${two.id}/cancel`, { by: donor, body: { reason: 'the dog ate it' } });
  two = changed(two, answer, { status: 'CANCELLED', cancelReason: 'the dog ate it' });
  assert.deepEqual(answer, two);
  expect(statusEvent.bind(null, two, 'AVAILABLE', donor.id, 'the dog ate it'));

  // Two that nobody picks up: the clock ends them, the claimed one later.
  const short = draft({ expiryTime: inFuture(5000), donorName: 'Somebody', quantity: '0.5' });
  let three = await server.create(donor, short);
  assert.deepEqual(three, newDonation(short, donor, 'Somebody', three));
  expect(createdEvent.bind(null, three));
  const longer = draft({ expiryTime: inFuture(5400), quantity: 1000000 });
  let four = await server.create(admin, longer);
  assert.deepEqual(four, newDonation(longer, admin, admin.name, four));
  expect(createdEvent.bind(null, four));
  answer = await server.ok('PATCH', `/donations/${four.id}/claim`, { by: ngo });
  four = changed(four, answer, { status: 'CLAIMED', claimedById: ngo.id, claimedAt: true });
  assert.deepEqual(answer, four);
  expect(claimedEvent.bind(null, four));

  const end = (d) => taps[0].about(d).at(-1)?.data;
  await taps[0].until('two expiries', () => [three, four].every((d) => end(d)?.status === 'EXPIRED'), 8000);
  const expired = [];
  for (const d of [three, four]) {
    const { updatedAt, reason } = end(d);
    const late = new Date(updatedAt) - new Date(d.expiryTime);
    assert.ok(late >= 0 && late < 2000, `expired ${late} ms after its time`);
    assert.equal(typeof reason, 'string');
    const now = changed(d, { updatedAt }, { status: 'EXPIRED' });
    assert.deepEqual(await server.ok('GET', `/donations/${d.id}`, { by: donor }), now);
    expect(statusEvent.bind(null, now, d.status, 'system', reason));
    expired.push(now);
  }
  [three, four] = expired;

  // A refused command is no event.
  const refused = await server.call('PATCH', `/donations/${three.id}/claim`, { by: ngo });
  assert.deepEqual([refused.status, refused.body.code], [400, 'donation_expired']);

  // One more, so that whatever was sent before has arrived when it has.
  const last = await server.create(donor);
  expect(createdEvent.bind(null, last));

  // Everybody heard exactly that, on both namespaces, and between it what is the account's own.
  const log = (await server.events(admin, before.position)).events.filter(({ event }) => event.startsWith('donation.'));
  assert.equal(log.length, expected.length);
  const feed = expected.map((event, i) => event(isPosition(log[i].position)));
  for (const each of taps) {
    const role = each.label.split(' ')[0].toLowerCase();
    const mine = await server.events(people[role], before.position);
    await each.reached(mine.last);
    sameList(each.donations().map(({ name, data }) => ({ name, data })), feed, each.label);
    sameList(each.feed().map(logged), mine.events, each.label);
    assert.deepEqual(each.named('notification').map(({ data }) => data.type), TOLD[role], each.label);
    const stored = (await server.ok('GET', '/notifications', { by: people[role] }))
      .filter(({ type }) => type !== 'account_verified'); // before anybody listened
    assert.deepEqual(stored.map(({ id }) => id), each.named('notification').map(({ data }) => data.id).reverse(), each.label);
    assert.ok(each.events.every(({ data, args }) => args.length === 2 && args[1] === data.position), 'the payload and its offset');
    assert.equal(each.events[0].name, 'feed.ready', 'feed.ready comes first');
    assert.equal(each.events.length, mine.events.length + 1, 'and nothing else comes');
    assert.deepEqual([each.connects, each.errors, each.drops], [1, [], []], each.label);
    assert.deepEqual(each.path, path, 'still the same transport');
  }
  assert.equal(new Set(feed.map(({ data }) => data.position)).size, feed.length, 'positions are unique');

  // REST tells the same: the log, the histories, the list.
  assert.deepEqual(log, feed.map(logged));
  for (const d of [one, two, three, four]) {
    const own = feed.filter(({ data }) => (data.id ?? data.donationId) === d.id);
    assert.deepEqual(own.map(({ data }) => data.version), own.map((_, i) => i + 1), 'versions count from 1');
    assert.deepEqual(await server.ok('GET', `/donations/${d.id}/history`, { by: admin }), own.map(logged));
    assert.deepEqual(await server.ok('GET', `/donations/${d.id}`, { by: ngo }), d);
  }
  assert.deepEqual(await server.ok('GET', '/donations?status=DELIVERED,CANCELLED,EXPIRED'), [four, three, two, one]);
  assert.deepEqual(await server.ok('GET', '/donations'), [last, one]);
  log.forEach(({ at }) => isTime(at));
}

test('clients that join while donations stream in miss nothing and hear nothing twice', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const { donor, admin } = await server.people();
  let more = true;
  const writers = Array.from({ length: 6 }, async () => {
    while (more) await server.create(donor);
  });
  const taps = [];
  for (let round = 0; round < 4; round++) {
    for (const { options } of Object.values(MODES)) {
      for (const namespace of NAMESPACES) taps.push(tap(server, { by: admin, namespace, ...options }));
    }
    await Promise.all(taps.map((each) => each.ready()));
  }
  const upgrading = taps.filter((each) => each.path[0] === 'polling' && each.socket.io.opts.transports === undefined);
  assert.equal(upgrading.length, 8);
  await until('all upgrades', () => upgrading.every((each) => each.path.at(-1) === 'websocket'));
  more = false;
  await Promise.all(writers);
  const end = await server.create(donor);
  const { events, last } = await server.events(admin);
  assert.equal(events.at(-1).data.id, end.id);
  const positions = events.map((event) => event.position);
  for (const each of taps) {
    const { position } = await each.ready();
    await each.reached(last, 10_000);
    // A record that this account does not see may be where a client joined: of one epoch the later
    // position is the greater text (P-7).
    const after = positions.filter((one) => one > position);
    assert.deepEqual(each.feed().map(({ data }) => data.position), after, each.label);
    assert.equal(each.connects, 1, 'no reconnection');
  }
  assert.ok(taps.some((each) => each.feed().length > 20), 'something was on its way');
});

test('a socket that joins again and again always hears on from the position it was told', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  let more = true;
  const writers = Array.from({ length: 6 }, async () => {
    while (more) await server.create(donor);
  });
  const taps = ['websocket', 'websocket', 'polling'].map((transport) => tap(server, { by: donor, transports: [transport] }));
  await Promise.all(taps.map(async (each) => {
    await each.ours('/', { token: donor.token }).ready(); // keeps the connection open meanwhile
    for (let joins = 1; joins <= 100; joins++) {
      await each.ready(joins);
      const heard = each.events.length;
      await each.until('something live', () => each.events.length > heard);
      if (joins < 100) each.socket.disconnect().connect();
    }
  }));
  more = false;
  await Promise.all(writers);
  const { events, last } = await server.events(donor);
  await Promise.all(taps.map((each) => each.reached(last)));
  const log = events.map((event) => event.position);
  for (const each of taps) {
    const lives = []; // what was heard from one feed.ready to the next
    for (const { name, data } of each.events) {
      // The position may be that of a record which this account does not see (P-7 for the order).
      if (name === 'feed.ready') lives.push({ from: log.filter((one) => one <= data.position).length, heard: [] });
      else lives.at(-1).heard.push(data.position);
    }
    assert.equal(lives.length, 100);
    for (const { from, heard } of lives) assert.deepEqual(heard, log.slice(from, from + heard.length));
    assert.equal(each.path.length, 1, 'all on one connection');
  }
});
