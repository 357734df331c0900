// P-13: a donation that expires soon is announced once, to all signed in, by every door.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inFuture, Server } from './harness.mjs';
import { isPosition } from './shapes.mjs';
import { NAMESPACES, plain, tap } from './tap.mjs';

const HOUR = 3600_000;

test('near expiry is announced an hour before, once', { timeout: 30_000 }, async (t) => {
  const server = await Server.start(t);
  const { donor, ngo, volunteer } = await server.people();
  const taps = [...NAMESPACES.map((namespace) => tap(server, { namespace, by: volunteer })), plain(server, { by: ngo })];
  for (const each of taps) await each.ready();

  const short = await server.create(donor, { expiryTime: inFuture(HOUR - 1000) }); // its creation has said it
  const open = await server.create(donor, { expiryTime: inFuture(HOUR + 3000) });
  const claimed = await server.create(donor, { expiryTime: inFuture(HOUR + 4000) });
  await server.ok('PATCH', `/donations/${claimed.id}/claim`, { by: ngo });
  const carried = await server.create(donor, { expiryTime: inFuture(HOUR + 4000) });
  await server.ok('PATCH', `/donations/${carried.id}/claim`, { by: ngo });
  await server.ok('PATCH', `/donations/${carried.id}/status`, { by: volunteer, body: { status: 'PICKED_UP' } });

  const near = (each) => each.named('donation.near_expiry');
  for (const each of taps) await each.until('two announcements', () => near(each).length >= 2);
  const last = await server.create(donor, { expiryTime: inFuture(HOUR - 1000) }); // all before it has come by then
  for (const each of taps) {
    await each.until('the last', () => each.named('donation.created').some(({ data }) => data.id === last.id));
    const got = near(each).map(({ data }) => data);
    assert.deepEqual(got, [open, claimed].map(({ id, expiryTime }, i) => ({
      donationId: id, expiryTime, position: isPosition(got[i].position),
    })));
  }
  for (const { id, version } of [short, open]) {
    assert.equal((await server.ok('GET', `/donations/${id}`, { by: ngo })).version, version, 'nothing of it has changed');
  }
});
