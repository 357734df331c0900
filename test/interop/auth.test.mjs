// Who gets in, with which token, from where; and what those hear who do not. Clauses P-2 to P-4,
// S-5, S-6.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { past, Server, sign, soon } from './harness.mjs';
import { MODES, NAMESPACES, tap } from './tap.mjs';

const REFUSALS = {
  token_missing: 'A token is needed: Authorization: Bearer <token>',
  token_invalid: 'Token is not valid',
  token_expired: 'Token has expired',
  account_suspended: 'Account is suspended',
};

async function assertRefused(client, code) {
  const err = await client.refused();
  assert.ok(err instanceof Error);
  assert.equal(err.message, REFUSALS[code]);
  assert.deepEqual(err.data, { code, retry: false });
  assert.equal(client.socket.active, false, 'a stock client does not try again by itself');
  assert.deepEqual([client.connects, client.events], [0, []], 'nothing is delivered');
  assert.equal(client.errors.length, 1);
}

test('tokens', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t);
  const donor = await server.account('DONOR', { email: 'Donor.Person@Interop.Example' });
  const suspended = await server.account('VOLUNTEER');
  await server.ok('PATCH', `/admin/users/${suspended.id}/toggle-status`, { by: await server.admin() });
  const claims = { sub: donor.id, email: donor.email, role: 'DONOR', exp: soon() };
  const unknown = { sub: randomUUID(), email: 'nobody@interop.example', role: 'DONOR' };
  const header = (value) => ({ extraHeaders: { Authorization: value } });
  const [head, payload, signature] = donor.token.split('.');

  const accepted = {
    'auth.token': { auth: { token: donor.token } },
    'auth.token with Bearer': { auth: { token: `Bearer ${donor.token}` } },
    'auth.token with bEARER': { auth: { token: `bEARER ${donor.token}` } },
    'auth as a function': { auth: (tell) => setImmediate(tell, { token: donor.token }) },
    'Authorization': header(`Bearer ${donor.token}`),
    'Authorization in lower case': header(`bearer ${donor.token}`),
    'Authorization, auth of another kind': { ...header(`Bearer ${donor.token}`), auth: { client: 'kitchen screen' } },
    'Authorization, auth.token null': { ...header(`Bearer ${donor.token}`), auth: { token: null } },
    'auth.token before Authorization': { ...header('Bearer rubbish'), auth: { token: donor.token } },
    'signed by another program': { auth: { token: sign(claims) } },
    'another backend\'s sub, e-mail known here': { auth: { token: sign({ ...claims, sub: 'user-4711' }) } },
    'another backend\'s UUID, e-mail in another case': {
      auth: { token: sign({ sub: randomUUID(), email: 'dONOR.pERSON@interop.example', exp: soon() }) },
    },
    'no e-mail': { auth: { token: sign({ sub: donor.id, exp: soon() }) } },
  };
  const refused = {
    token_missing: {
      'no auth at all': {},
      'auth without token': { auth: {} },
      'token null, as localStorage gives it': { auth: { token: null } },
      'token empty': { auth: { token: '' } },
      'Bearer and nothing': { auth: { token: 'Bearer ' } },
      'Authorization empty': header('Bearer '),
    },
    token_invalid: {
      'rubbish': { auth: { token: 'rubbish' } },
      'three parts of rubbish': { auth: { token: 'a.b.c' } },
      'a number': { auth: { token: 12345 } },
      'an object': { auth: { token: { token: donor.token } } },
      'very long': { auth: { token: 'x'.repeat(6000) } },
      'wrong secret': { auth: { token: sign(claims, { secret: 'another secret of sixteen bytes' }) } },
      'empty secret': { auth: { token: sign(claims, { secret: '' }) } },
      'alg none': { auth: { token: sign(claims, { alg: 'none' }) } },
      'alg HS512': { auth: { token: sign(claims, { alg: 'HS512' }) } },
      'alg HS384': { auth: { token: sign(claims, { alg: 'HS384' }) } },
      'signature cut off': { auth: { token: `${head}.${payload}.` } },
      'signature of another token': { auth: { token: `${head}.${sign(claims).split('.')[1]}.${signature}` } },
      'no expiry': { auth: { token: sign({ ...claims, exp: undefined }) } },
      'expiry that is a text': { auth: { token: sign({ ...claims, exp: 'tomorrow' }) } },
      'not valid before tomorrow': { auth: { token: sign({ ...claims, nbf: soon() + 86400 }) } },
      'nobody': { auth: { token: sign({ exp: soon() }) } },
      'unknown account': { auth: { token: sign({ ...unknown, exp: soon() }) } },
      'rubbish in Authorization': header('Bearer rubbish'),
      'another scheme': header(`Basic ${Buffer.from('donor:interop').toString('base64')}`),
      'bad auth.token before a good Authorization': { ...header(`Bearer ${donor.token}`), auth: { token: 'rubbish' } },
    },
    token_expired: {
      'a minute ago': { auth: { token: sign({ ...claims, exp: past() }) } },
      'in Authorization': header(`Bearer ${sign({ ...claims, exp: past() })}`),
    },
    account_suspended: {
      'by auth.token': { auth: { token: suspended.token } },
      'by e-mail': { auth: { token: sign({ sub: 'elsewhere', email: suspended.email, exp: soon() }) } },
    },
  };

  for (const [name, options] of Object.entries(accepted)) {
    await t.test(`accepted: ${name}`, async () => {
      const clients = NAMESPACES.flatMap((namespace) =>
        [['polling'], ['websocket']].map((transports) => tap(server, { namespace, transports, ...options })));
      for (const client of clients) {
        const { user } = await client.ready();
        assert.deepEqual(user, { id: donor.id, role: 'DONOR' });
        assert.equal(client.events[0].name, 'feed.ready');
        assert.deepEqual(client.errors, []);
      }
    });
  }
  for (const [code, cases] of Object.entries(refused)) {
    for (const [name, options] of Object.entries(cases)) {
      await t.test(`${code}: ${name}`, async () => {
        const clients = NAMESPACES.flatMap((namespace) =>
          [['polling'], ['websocket']].map((transports) => tap(server, { namespace, transports, ...options })));
        for (const client of clients) await assertRefused(client, code);
      });
    }
  }

  await t.test('REST says the same of the same tokens', async () => {
    for (const [code, cases] of Object.entries(refused)) {
      for (const [name, { auth, extraHeaders }] of Object.entries(cases)) {
        if (auth?.token === undefined || extraHeaders || typeof auth.token !== 'string') continue;
        const authorization = /^bearer/i.test(auth.token) ? auth.token : `Bearer ${auth.token}`;
        const { status, headers, body } = await server.call('GET', '/auth/profile', { headers: { authorization } });
        assert.equal(status, code === 'account_suspended' ? 403 : 401, name);
        assert.deepEqual([body.code, body.message], [code, REFUSALS[code]], name);
        assert.equal(headers['www-authenticate'], status === 401 ? 'Bearer' : undefined);
      }
    }
  });

  await t.test('a function is asked again on every try', async () => {
    const tokens = ['rubbish', sign({ ...claims, exp: past() }), donor.token];
    const client = tap(server, { auth: (tell) => tell({ token: tokens.shift() }) });
    for (const code of ['token_invalid', 'token_expired']) {
      await client.until(code, () => client.errors.at(-1)?.data.code === code);
      client.socket.connect();
    }
    await client.ready();
    assert.equal(client.errors.length, 2);
  });
});

describe('after a refusal', { concurrency: true }, () => {
  for (const [mode, { options }] of Object.entries(MODES)) {
    test(`the connection stays usable: ${mode}`, { timeout: 20_000 }, async (t) => {
      const server = await Server.start(t);
      const donor = await server.account('DONOR');
      const bad = tap(server, { namespace: '/donations', auth: { token: 'rubbish' }, ...options });
      // The stock client closes a connection on which no namespace is left: the second one keeps it
      // open, and asks to join only after the first was refused.
      let join;
      const good = bad.ours('/', (tell) => (join = () => tell({ token: donor.token })));
      await assertRefused(bad, 'token_invalid');
      const { engine } = bad.socket.io;
      const sid = engine.id;
      await good.until('its turn', () => join);
      join();
      await good.ready();

      // The refused namespace itself, too, as soon as the token is good.
      bad.socket.auth = { token: donor.token };
      bad.socket.connect();
      await bad.ready();
      assert.ok(bad.socket.io.engine === engine && engine.id === sid, 'all on one connection');

      const donation = await server.create(donor);
      for (const client of [bad, good]) {
        await client.until('the donation', () => client.about(donation).length === 1);
      }
      assert.deepEqual([good.drops, bad.drops], [[], []]);
    });
  }
});

describe('a namespace that does not exist', { concurrency: true }, () => {
  for (const [mode, { options }] of Object.entries(MODES)) {
    test(mode, { timeout: 20_000 }, async (t) => {
      const server = await Server.start(t);
      const donor = await server.account('DONOR');
      const client = tap(server, { namespace: '/donation', by: donor, ...options });
      const sibling = client.ours('/donations', { token: donor.token });
      await client.until('connect_error', () => client.errors.length);
      assert.equal(client.errors[0].message, 'Invalid namespace');
      assert.equal(client.errors[0].data, undefined);
      assert.equal(client.socket.active, false);
      await sibling.ready();
      assert.equal(client.errors.length, 1);
      assert.deepEqual(sibling.drops, []);
    });
  }
});
