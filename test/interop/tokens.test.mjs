// A token ends while its socket is open: told, refreshed in place, or closed and back. Clauses P-18, P-24.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequire } from 'node:module';
import { Server, sign, soon, until } from './harness.mjs';

const { io } = createRequire(import.meta.url)('socket.io-client');

test('a token runs out', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR');
  const brief = () => sign({ sub: donor.id, iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 4 });
  const open = () => {
    const client = { told: 0, drops: [], connects: 0, asked: 0 };
    client.socket = io(`${server.url}/donations`, {
      forceNew: true,
      transports: ['websocket'],
      auth: (done) => done({ token: client.asked++ === 0 ? brief() : sign({ sub: donor.id, exp: soon() }) }),
    });
    client.socket.on('connect', () => client.connects++);
    client.socket.on('disconnect', (reason) => client.drops.push(reason));
    client.socket.on('auth.expiring', () => client.told++);
    server.clients.add(client.socket);
    return client;
  };
  const fresh = open();
  const idle = open();
  for (const client of [fresh, idle]) await until('auth.expiring', () => client.told > 0);
  const exp = soon();
  const ack = await fresh.socket.timeout(5000).emitWithAck('auth.refresh', { token: sign({ sub: donor.id, exp }) });
  assert.deepEqual(ack, { expiresAt: new Date(exp * 1000).toISOString() });
  await until('the idle one to come back', () => idle.connects === 2, { ms: 40_000 });
  assert.deepEqual(idle.drops, ['transport close']);
  assert.equal(idle.asked, 2);
  assert.deepEqual([fresh.connects, fresh.drops, fresh.asked], [1, [], 1]);
});
