// What a browser needs beside the events: cross-origin rules, and the client's own file. Clauses
// C-1 to C-5, E-5, E-11.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, test } from 'node:test';
import vm from 'node:vm';
import zlib from 'node:zlib';
import WebSocket from 'ws';
import { FRONTEND, Server, until } from './harness.mjs';
import { MODES, plain, tap } from './tap.mjs';

const FOREIGN = 'https://elsewhere.example';
const OTHER = 'https://board.example';
const POLL = '/socket.io/?EIO=4&transport=polling';

test('origins', { timeout: 40_000 }, async (t) => {
  const server = await Server.start(t, { FRONTEND_URL: `${FRONTEND}/, ${OTHER}` });
  const donor = await server.account('DONOR');

  await t.test('a foreign origin is refused with a plain word, on polling and on REST', async () => {
    const poll = await server.request('GET', POLL, { headers: { origin: FOREIGN } });
    assert.equal(poll.status, 403);
    assert.deepEqual(JSON.parse(poll.body), { code: 4, message: `Origin ${FOREIGN} is not allowed; add it to FRONTEND_URL` });
    assert.equal(poll.headers['access-control-allow-origin'], undefined);
    assert.match(poll.headers.vary, /\borigin\b/i);

    const rest = await server.call('GET', '/donations', { headers: { origin: FOREIGN } });
    assert.equal(rest.status, 403);
    assert.deepEqual(rest.body, {
      statusCode: 403, error: 'Forbidden', code: 'origin_not_allowed',
      message: `Origin ${FOREIGN} is not allowed; add it to FRONTEND_URL`,
    });
    assert.equal(rest.headers['access-control-allow-origin'], undefined);
  });

  for (const origin of [FRONTEND, OTHER, FRONTEND.toUpperCase().replace('HTTP', 'http')]) {
    await t.test(`${origin} is allowed, with credentials`, async () => {
      for (const target of [POLL, '/donations', '/health', '/nowhere', '/socket.io/socket.io.js']) {
        const { status, headers } = await server.request('GET', target, { headers: { origin } });
        assert.equal(status, target === '/nowhere' ? 404 : 200, target);
        assert.equal(headers['access-control-allow-origin'], origin, target);
        assert.equal(headers['access-control-allow-credentials'], 'true', target);
        assert.match(headers.vary, /\borigin\b/i, target);
      }
    });
  }

  await t.test('the server\'s own origin, and none, are allowed', async () => {
    for (const headers of [{ origin: server.url }, {}]) {
      for (const target of [POLL, '/donations']) {
        assert.equal((await server.request('GET', target, { headers })).status, 200);
      }
    }
  });

  await t.test('an origin that only looks like one of the list is foreign', async () => {
    for (const origin of [`${FRONTEND}.evil.example`, 'http://localhost:51730', 'http://localhost', 'https://localhost:5173', 'null']) {
      for (const target of [POLL, '/donations']) {
        const { status, headers } = await server.request('GET', target, { headers: { origin } });
        assert.equal(status, 403, `${origin} ${target}`);
        assert.equal(headers['access-control-allow-origin'], undefined);
      }
    }
  });

  await t.test('preflight', async () => {
    for (const target of [POLL, '/donations', `/donations/${donor.id}/claim`]) {
      const asked = {
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': 'authorization,content-type,idempotency-key',
      };
      const { status, headers, body } = await server.request('OPTIONS', target, { headers: { origin: FRONTEND, ...asked } });
      assert.equal(status, 204, target);
      assert.equal(headers['access-control-allow-origin'], FRONTEND);
      assert.equal(headers['access-control-allow-credentials'], 'true');
      assert.deepEqual(headers['access-control-allow-methods'].split(/,\s*/).sort(), ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT']);
      assert.equal(headers['access-control-allow-headers'], asked['access-control-request-headers']);
      assert.match(headers.vary, /access-control-request-headers/i);
      assert.equal(body.length, 0);

      const foreign = await server.request('OPTIONS', target, { headers: { origin: FOREIGN, ...asked } });
      assert.equal(foreign.headers['access-control-allow-origin'], undefined, target);
    }
  });

  await t.test('a WebSocket of a foreign origin is not opened', async () => {
    const doors = { '/donations': 403, '/socket.io/?EIO=4&transport=websocket': 400 };
    for (const [door, status] of Object.entries(doors)) {
      const client = plain(server, { path: door, by: donor, origin: FOREIGN });
      const refusal = await client.until('the refusal', () => client.refusal);
      assert.equal(refusal.status, status, door);
      assert.match(refusal.body, new RegExp(`Origin ${FOREIGN} is not allowed; add it to FRONTEND_URL`));
      assert.equal(client.opened, false);
    }
    const allowed = plain(server, { by: donor, origin: FRONTEND });
    await allowed.ready();
  });

  for (const [mode, { options, path: travelled }] of Object.entries(MODES)) {
    await t.test(`the stock client: ${mode}`, async () => {
      const from = (origin) => tap(server, { by: donor, ...options, extraHeaders: { Origin: origin }, reconnection: false });
      const good = from(FRONTEND);
      await good.ready();
      await good.until('its transport', () => good.path.length === travelled.length);
      const bad = from(FOREIGN);
      await bad.until('an error', () => bad.errors.length);
      assert.deepEqual([bad.connects, bad.events], [0, []]);
    });
  }
});

describe('the client of the npm package', () => {
  const dist = path.join(path.dirname(createRequire(import.meta.url).resolve('socket.io-client/package.json')), 'dist');
  const files = {
    'socket.io.js': /javascript/, 'socket.io.min.js': /javascript/, 'socket.io.esm.min.js': /javascript/,
    'socket.io.js.map': /json/, 'socket.io.min.js.map': /json/, 'socket.io.esm.min.js.map': /json/,
  };

  test('is served byte for byte, plain and compressed, and not again when known', { timeout: 20_000 }, async (t) => {
    const server = await Server.start(t);
    for (const [name, type] of Object.entries(files)) {
      const original = await fs.readFile(path.join(dist, name));
      const target = `/socket.io/${name}`;
      const { status, headers, body } = await server.request('GET', target);
      assert.equal(status, 200, name);
      assert.match(headers['content-type'], type);
      assert.ok(body.equals(original), `${name} differs from the package`);
      assert.equal(headers['content-length'], String(original.length));
      assert.equal(headers['cache-control'], 'public, max-age=0');
      assert.match(headers.etag, /^"[^"]+"$/, 'a strong tag');

      const zipped = await server.request('GET', target, { headers: { 'accept-encoding': 'br;q=0, gzip, deflate' } });
      assert.equal(zipped.headers['content-encoding'], 'gzip');
      assert.match(zipped.headers.vary, /accept-encoding/i);
      assert.ok(zlib.gunzipSync(zipped.body).equals(original));

      const known = await server.request('GET', target, { headers: { 'if-none-match': headers.etag } });
      assert.deepEqual([known.status, known.body.length, known.headers.etag], [304, 0, headers.etag]);
      const stale = await server.request('GET', target, { headers: { 'if-none-match': '"4.8.0"' } });
      assert.equal(stale.status, 200);
      const head = await server.request('HEAD', target);
      assert.deepEqual([head.status, head.body.length, head.headers['content-length']], [200, 0, String(original.length)]);
    }
    const { status, body } = await server.request('GET', '/socket.io/socket.io.msgpack.min.js');
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(body), { code: 0, message: 'Transport unknown' });
  });

  for (const name of ['socket.io.js', 'socket.io.min.js']) {
    test(`${name}, loaded as a page does, connects`, { timeout: 20_000 }, async (t) => {
      const server = await Server.start(t);
      const donor = await server.account('DONOR');
      const { body } = await server.request('GET', `/socket.io/${name}`);
      const { hostname, port } = new URL(server.url);
      const page = {
        WebSocket, setTimeout, clearTimeout, queueMicrotask, TextEncoder, TextDecoder, ArrayBuffer, console, Promise,
        navigator: {}, location: { protocol: 'http:', hostname, port, host: `${hostname}:${port}` },
        addEventListener() {}, removeEventListener() {},
      };
      page.window = page.self = page;
      vm.runInNewContext(body.toString(), page, { filename: name });
      assert.equal(typeof page.io, 'function');
      assert.equal(typeof page.io.Manager, 'function');

      // As in the guide, down to the address: a namespace on the page's own host.
      const socket = page.io('/donations', { auth: { token: donor.token }, transports: ['websocket'] });
      server.clients.add({ close: () => socket.disconnect() });
      const heard = [];
      socket.onAny((event, data) => heard.push([event, data]));
      await until('feed.ready', () => heard.some(([event]) => event === 'feed.ready'));
      const donation = await server.create(donor);
      await until('the donation', () => heard.length >= 2);
      assert.deepEqual([heard[1][0], heard[1][1].id], ['donation.created', donation.id]);
    });
  }
});
