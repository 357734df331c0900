// The stock client in Node offers permessage-deflate by itself, as browsers do. Clause E-41.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Server } from './harness.mjs';
import { MODES, tap } from './tap.mjs';

// pad is text that compresses well.
const pad = 'larder '.repeat(200);

// socketOf is the WebSocket under a client that has come to one.
async function socketOf(client) {
  await client.until('the WebSocket', () => client.socket.io.engine?.transport.name === 'websocket');
  return client.socket.io.engine.transport.ws;
}

describe('compression', { concurrency: true }, () => {
  for (const mode of ['websocket only', 'polling, then upgrade']) {
    for (const on of [true, false]) {
      test(`${mode}, ${on ? 'on' : 'off'}`, { timeout: 20_000 }, async (t) => {
        const server = await Server.start(t, { WS_COMPRESSION: String(on) });
        const by = await server.account('DONOR');
        const client = tap(server, { by, ...MODES[mode].options });
        await client.ready();
        const ws = await socketOf(client);
        assert.equal(ws.extensions, on ? 'permessage-deflate' : '');

        const { bytesRead, bytesWritten } = ws._socket;
        for (let i = 0; i < 10; i++) {
          const answer = await client.ask('feed.resume', { pad, i }); // a fault, and shown as such
          assert.ok(answer.cause.data?.pad === pad, 'the echo');
        }
        const small = 10 * pad.length / 3;
        assert.equal(ws._socket.bytesRead - bytesRead < small, on, 'what was received');
        assert.equal(ws._socket.bytesWritten - bytesWritten < small, on, 'what was sent');
      });
    }
  }
});
