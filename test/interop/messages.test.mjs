// What a client sends: test, feed.resume, and messages that are wrong. Clauses P-20 to P-22.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Server } from './harness.mjs';
import { isPosition, isTime, logged, placeIn } from './shapes.mjs';
import { MODES, NAMESPACES, tap } from './tap.mjs';

function assertPong(pong) {
  assert.deepEqual(pong, { message: 'Pong!', timestamp: isTime(pong.timestamp) });
  assert.ok(Math.abs(Date.now() - new Date(pong.timestamp)) < 10_000, 'the server knows the time');
}

describe('messages', { concurrency: true }, () => {
  for (const [mode, { options }] of Object.entries(MODES)) {
    for (const namespace of NAMESPACES) {
      test(`${mode}, ${namespace}`, { timeout: 20_000 }, async (t) => {
        const server = await Server.start(t);
        const by = await server.account('DONOR');
        const client = tap(server, { namespace, by, ...options });
        const other = tap(server, { namespace, by, ...options });
        await Promise.all([client.ready(), other.ready()]);

        await t.test('test is answered by an event', async () => {
          client.socket.emit('test', { hello: 'from the kitchen' });
          await client.until('test-response', () => client.named('test-response').length === 1);
          assertPong(client.named('test-response')[0].data);
        });

        await t.test('and by an ack', async () => {
          const pong = await client.ask('test');
          assertPong(pong);
          await client.until('test-response', () => client.named('test-response').length === 2);
          assert.deepEqual(client.named('test-response')[1].data, pong);
        });

        const wrong = [
          ['null', [null], 'bad_request', null],
          ['a number', [42], 'bad_request', 42],
          ['a text', ['latest'], 'bad_request', 'latest'],
          ['a list', [[1, 2]], 'bad_request', [1, 2]],
          ['a number for a position', [{ after: 7 }], 'bad_request', { after: 7 }],
          ['an empty object', [{}], 'validation_failed', {}],
          ['an empty position', [{ after: '' }], 'validation_failed', { after: '' }],
          ['nothing', [], 'validation_failed', null],
          ['binary', [Buffer.from([1, 2, 3])], 'bad_request', undefined],
        ];
        await t.test('feed.resume with anything but a position is an exception', async () => {
          for (const [name, args, code, data] of wrong) {
            const seen = client.named('exception').length;
            const answer = await client.ask('feed.resume', ...args);
            client.socket.emit('feed.resume', ...args); // without an ack, too
            await client.until(`two exceptions, ${name}`, () => client.named('exception').length === seen + 2);
            for (const { data: exception, args: rest } of client.named('exception').slice(seen)) {
              assert.equal(rest.length, 1);
              assert.equal(typeof exception.message, 'string');
              assert.notEqual(exception.message, '');
              const cause = { pattern: 'feed.resume', data: data === undefined ? exception.cause.data : data };
              assert.deepEqual(exception, { status: 'error', message: exception.message, code, cause }, name);
              assert.deepEqual(answer, exception, 'the ack says the same');
            }
          }
        });

        await t.test('feed.resume with a position that is none of ours recovers nothing', async () => {
          const { position } = (await client.ready());
          const [epoch, seq] = position.split('-');
          const strange = {
            position: ['somewhere', `${epoch}-`, `${epoch}-x`, `${epoch}-0${seq}`, '🍞'.repeat(1000)],
            epoch: [placeIn('aaaaaaaaaaaa', 1)],
            ahead: [placeIn(epoch, parseInt(seq, 10) + 1000)],
          };
          for (const [reason, positions] of Object.entries(strange)) {
            for (const after of positions) {
              const answer = await client.ask('feed.resume', { after });
              assert.deepEqual(answer, { position, recovered: false, more: false, reason, events: [] });
            }
          }
        });

        await t.test('feed.resume tells what came after a position', async () => {
          const { position } = await client.ready();
          assert.deepEqual(await client.ask('feed.resume', { after: position }), { position, recovered: true, more: false, events: [] });
          const made = [await server.create(by), await server.create(by), await server.create(by)];
          const log = await server.events(by, position);
          const listed = log.events.filter(({ event }) => event.startsWith('donation.'));
          assert.deepEqual(listed.map(({ data }) => data.id), made.map(({ id }) => id));
          assert.deepEqual(await client.ask('feed.resume', { after: position, extra: 'ignored' }, 'also ignored'), {
            position: isPosition(log.position), recovered: true, more: false, events: log.events,
          });
          const middle = log.events[0].position;
          assert.deepEqual(await client.ask('feed.resume', { after: middle }), {
            position: log.position, recovered: true, more: false, events: log.events.slice(1),
          });
        });

        await t.test('an event that nobody knows changes nothing', async () => {
          const seen = client.named('exception').length;
          client.socket.emit('donation.created', { id: 'a forgery' });
          client.socket.emit('nonsense', 1, null, {}, []);
          assertPong(await client.ask('test'));
          assert.equal(client.named('exception').length, seen);
        });

        await t.test('the socket is still the same, and nobody else heard of any of it', async () => {
          const donation = await server.create(by);
          for (const each of [client, other]) {
            await each.until('the donation', () => each.about(donation).length);
            assert.deepEqual([each.connects, each.drops, each.errors], [1, [], []]);
          }
          // Only what the account did over REST: its donations, and one badge for them.
          const { events } = await server.events(by, (await other.ready()).position);
          assert.deepEqual(other.feed().map(logged), events);
          assert.deepEqual(other.named('notification').map(({ data }) => [data.type, data.userId]), [['badge_earned', by.id]]);
          const others = other.events.filter(({ name }) => name !== 'donation.created' && name !== 'notification');
          assert.deepEqual(others.map(({ name }) => name), ['feed.ready']);
          assert.ok(other.donations().every(({ data }) => data.donorId === by.id), 'no forgery');
        });
      });
    }
  }
});
