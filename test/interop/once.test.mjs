// Things that happen once, however often and by however many they are asked for.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { draft, inFuture, Server } from './harness.mjs';
import { logged, sameList } from './shapes.mjs';
import { NAMESPACES, plain, tap } from './tap.mjs';

test('fifty claims by five NGOs: one wins, and everybody hears of one', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const { donor, admin } = await server.people();
  const ngos = await Promise.all(Array.from({ length: 5 }, () => server.account('NGO')));
  const taps = [donor, ...ngos].flatMap((by) => NAMESPACES.map((namespace) => tap(server, { by, namespace })));
  const direct = plain(server, { by: donor });
  await Promise.all([...taps, direct].map((each) => each.ready()));

  for (let round = 0; round < 3; round++) {
    const donation = await server.create(donor);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => {
      const ngo = ngos[i % ngos.length];
      return server.call('PATCH', `/donations/${donation.id}/claim`, { by: ngo }).then((answer) => ({ ngo, ...answer }));
    }));
    const won = answers.filter(({ status }) => status === 200);
    assert.equal(won.length, 1, JSON.stringify(answers.map(({ status }) => status)));
    const [{ ngo, body: claimed }] = won;
    assert.deepEqual([claimed.status, claimed.claimedById, claimed.version], ['CLAIMED', ngo.id, 2]);
    for (const { status, body } of answers.filter((answer) => answer !== won[0])) {
      assert.deepEqual({ status, ...body }, {
        status: 400, statusCode: 400, error: 'Bad Request', code: 'donation_not_available',
        message: 'Donation is not available for claiming',
      });
    }
    const barrier = await server.create(donor);
    const history = await server.ok('GET', `/donations/${donation.id}/history`, { by: admin });
    assert.deepEqual(history.map(({ event }) => event), ['donation.created', 'donation.claimed']);
    for (const each of taps) {
      await each.until('the barrier', () => each.about(barrier).length);
      assert.deepEqual(each.about(donation).map(({ name, data }) => ({ event: name, data })),
        history.map(({ event, data }) => ({ event, data })), each.label);
      assert.equal(each.about(donation)[1].data.claimedBy, ngo.id);
    }
    await direct.until('the barrier', () => direct.feed().some(({ data }) => data.id === barrier.id));
    assert.equal(direct.feed().filter(({ event, data }) => event === 'donation.claimed' && data.donationId === donation.id).length, 1);
  }
});

test('a request that is repeated with its idempotency key is carried out once', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const { donor, ngo, volunteer, admin } = await server.people();
  const listener = tap(server, { by: ngo });
  const { position } = await listener.ready();
  const body = draft({ preparationTime: new Date().toISOString() });
  const keyed = (key, by, fields = {}) => ({ by, body: { ...body, ...fields }, headers: { 'idempotency-key': key } });
  const key = randomUUID();

  const first = await server.ok('POST', '/donations', keyed(key, donor));
  assert.deepEqual(await server.ok('POST', '/donations', keyed(key, donor)), first);
  const many = await Promise.all(Array.from({ length: 10 }, () => server.ok('POST', '/donations', keyed(key, donor))));
  for (const answer of many) assert.deepEqual(answer, first);

  const other = await server.call('POST', '/donations', keyed(key, donor, { name: 'Something else' }));
  assert.deepEqual([other.status, other.body.code], [409, 'idempotency_key_reused']);
  // A key belongs to its caller, and without one every request is its own.
  const second = await server.ok('POST', '/donations', keyed(key, admin));
  assert.notEqual(second.id, first.id);
  // Ten at once with a new key.
  const racing = randomUUID();
  const raced = await Promise.all(Array.from({ length: 10 }, () => server.ok('POST', '/donations', keyed(racing, donor))));
  assert.equal(new Set(raced.map(({ id }) => id)).size, 1);

  // The same for a change, refused or not, and after the donation has moved on.
  const claim = { by: ngo, headers: { 'idempotency-key': randomUUID() } };
  const claimed = await server.ok('PATCH', `/donations/${first.id}/claim`, claim);
  await server.ok('PATCH', `/donations/${first.id}/status`, { by: volunteer, body: { status: 'PICKED_UP' } });
  assert.deepEqual(await server.ok('PATCH', `/donations/${first.id}/claim`, claim), claimed);
  const refusal = { by: ngo, headers: { 'idempotency-key': randomUUID() } };
  const refused = await server.call('PATCH', `/donations/${first.id}/claim`, refusal);
  assert.deepEqual([refused.status, refused.body.code], [400, 'donation_not_available']);
  assert.deepEqual((await server.call('PATCH', `/donations/${first.id}/claim`, refusal)).body, refused.body);

  // And after a crash.
  await server.restart('SIGKILL');
  assert.deepEqual(await server.ok('POST', '/donations', keyed(key, donor)), first);

  const log = await server.events(admin, position);
  const events = log.events.filter(({ event }) => event.startsWith('donation.'));
  assert.deepEqual(events.map(({ event, data }) => [event, data.id ?? data.donationId]), [
    ['donation.created', first.id], ['donation.created', second.id], ['donation.created', raced[0].id],
    ['donation.claimed', first.id], ['donation.status.updated', first.id],
  ]);
  await listener.ready(2, 15_000);
  assert.deepEqual(listener.donations().map(({ data }) => data.position), events.map((event) => event.position));
  const own = await server.events(ngo, position);
  await listener.reached(own.last);
  sameList(listener.feed().map(logged), own.events, 'notifications, too, come once');
});

test('of a claim and a cancellation at the same moment exactly one happens first', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const { donor, ngo, admin } = await server.people();
  const listener = tap(server, { by: admin });
  await listener.ready();
  for (let round = 0; round < 10; round++) {
    const donation = await server.create(donor, { expiryTime: inFuture(3600_000) });
    const [claim, cancel] = await Promise.all([
      server.call('PATCH', `/donations/${donation.id}/claim`, { by: ngo }),
      server.call('PATCH', `/donations/${donation.id}/cancel`, { by: donor, body: { reason: 'eaten' } }),
    ]);
    assert.equal(cancel.status, 200, 'a claimed donation can be cancelled, too');
    const versions = claim.status === 200 ? [1, 2, 3] : [1, 2];
    await listener.until('the end', () => listener.about(donation).at(-1)?.data.status === 'CANCELLED');
    assert.deepEqual(listener.about(donation).map(({ data }) => data.version), versions);
    assert.equal(listener.about(donation).at(-1).data.previousStatus, claim.status === 200 ? 'CLAIMED' : 'AVAILABLE');
  }
});
