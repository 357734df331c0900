// Rights are those of the account now: a suspension reaches sockets that are open. Clause P-4.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Server } from './harness.mjs';
import { MODES, plain, tap } from './tap.mjs';

describe('suspended while connected', { concurrency: true }, () => {
  for (const [mode, { options, path }] of Object.entries(MODES)) {
    test(mode, { timeout: 30_000 }, async (t) => {
      const server = await Server.start(t);
      const { donor, volunteer, admin } = await server.people();
      const first = tap(server, { by: volunteer, ...options });
      const second = first.ours('/', { token: volunteer.token });
      const bystander = tap(server, { by: donor, ...options });
      for (const client of [first, second, bystander]) {
        await client.ready();
        await client.until('its transport', () => client.path.length === path.length);
      }

      const toggled = await server.ok('PATCH', `/admin/users/${volunteer.id}/toggle-status`, { by: admin });
      assert.deepEqual(toggled, { message: 'User suspended', isActive: false });
      const began = Date.now();
      // The connection goes, so that a stock client comes back by itself and then learns why.
      for (const client of [first, second]) await client.until('the disconnect', () => client.drops.length, 2000);
      assert.ok(Date.now() - began < 2000);
      const unheard = await server.create(donor);
      for (const client of [first, second]) {
        assert.deepEqual(client.drops, ['transport close']);
        const err = await client.refused(10_000);
        assert.equal(err.message, 'Account is suspended');
        assert.deepEqual(err.data, { code: 'account_suspended', retry: false });
        assert.equal(client.socket.active, false);
        assert.equal(client.connects, 1);
        assert.deepEqual(client.about(unheard), []);
      }
      const { status, body } = await server.call('GET', '/auth/profile', { by: volunteer });
      assert.deepEqual([status, body.code], [403, 'account_suspended']);

      // Restored: the same token is good again.
      assert.deepEqual(await server.ok('PATCH', `/admin/users/${volunteer.id}/toggle-status`, { by: admin }), {
        message: 'User restored', isActive: true,
      });
      first.socket.connect();
      second.socket.connect();
      for (const client of [first, second]) await client.ready(2);
      const heard = await server.create(donor);
      for (const client of [first, second, bystander]) {
        await client.until('the donation', () => client.about(heard).length === 1);
      }
      assert.equal(bystander.about(unheard).length, 1);
      assert.deepEqual([bystander.connects, bystander.drops, bystander.errors], [1, [], []], 'nobody else is touched');
    });
  }

  test('a plain WebSocket', { timeout: 20_000 }, async (t) => {
    const server = await Server.start(t);
    const { donor, volunteer, admin } = await server.people();
    const client = plain(server, { by: volunteer });
    const bystander = plain(server, { by: donor });
    await Promise.all([client.ready(), bystander.ready()]);
    await server.ok('PATCH', `/admin/users/${volunteer.id}/toggle-status`, { by: admin });
    const { code } = await client.end(2000);
    assert.equal(code, 1008);
    const last = client.frames.at(-1);
    assert.deepEqual([last.event, last.data.code, last.data.message], ['exception', 'account_suspended', 'Account is suspended']);
    await server.create(donor);
    await bystander.until('the donation', () => bystander.donations().length === 1);
    assert.equal(bystander.closed, null);
  });
});

test('an NGO may claim from the moment of its verification, with the socket it has', { timeout: 20_000 }, async (t) => {
  const server = await Server.start(t);
  const { donor, admin } = await server.people();
  const ngo = await server.account('NGO', { verified: false });
  const client = tap(server, { by: ngo });
  await client.ready();
  const donation = await server.create(donor);
  const refused = await server.call('PATCH', `/donations/${donation.id}/claim`, { by: ngo });
  assert.deepEqual([refused.status, refused.body.code], [403, 'ngo_not_verified']);
  await server.ok('PATCH', `/admin/verify/${ngo.id}`, { by: admin });
  await server.ok('PATCH', `/donations/${donation.id}/claim`, { by: ngo });
  await client.until('the claim', () => client.named('donation.claimed').length === 1);
  assert.deepEqual(client.about(donation).map(({ data }) => data.version), [1, 2]);
  assert.equal(client.connects, 1);
});
