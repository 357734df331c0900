// A server that stops, in order or not, and comes back on the same port and data: stock clients
// return by themselves and learn exactly what they missed. Clauses P-5, P-6, P-8, P-22.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Server, until } from './harness.mjs';
import { logged, sameList } from './shapes.mjs';
import { MODES, NAMESPACES, tap } from './tap.mjs';

// A socket whose process was killed may end either way, as the transport sees it.
const REASONS = { SIGTERM: ['transport close'], SIGKILL: ['transport close', 'transport error'] };

describe('a client comes back and resumes', { concurrency: true }, () => {
  for (const signal of Object.keys(REASONS)) {
    for (const [mode, { options }] of Object.entries(MODES)) {
      test(`${signal}, ${mode}`, { timeout: 40_000 }, async (t) => {
        const server = await Server.start(t);
        const { donor, ngo } = await server.people();
        // The client joins only when the gate is open: what happens before, it has missed.
        let gate = Promise.resolve();
        const auth = (tell) => gate.then(() => tell({ token: ngo.token }));
        const first = tap(server, { by: ngo, auth, ...options });
        const taps = [first, first.ours('/', auth)];
        await Promise.all(taps.map((each) => each.ready()));
        const begin = (await first.ready()).position;
        const ids = new Map(taps.map((each) => [each, each.socket.id]));

        const kept = await server.create(donor);
        const gone = await server.create(donor);
        await server.ok('PATCH', `/donations/${gone.id}/claim`, { by: ngo });
        const seen = (await server.events(ngo)).last; // all that it was told of, and no more than that
        await Promise.all(taps.map((each) => each.reached(seen)));

        let open;
        gate = new Promise((resolve) => (open = resolve));
        const how = await server.stop(signal);
        assert.deepEqual([how.code, how.signal], signal === 'SIGTERM' ? [0, null] : [null, 'SIGKILL'], server.log);
        await server.launch();
        const missed = await server.create(donor);
        await server.ok('PATCH', `/donations/${gone.id}/release`, { by: ngo, body: { reason: 'closed' } });
        await server.ok('PATCH', `/donations/${missed.id}/claim`, { by: ngo });
        await server.ok('PATCH', `/donations/${kept.id}/cancel`, { by: donor, body: { reason: 'eaten' } });
        const { last: newest, ...between } = await server.events(ngo, seen);
        assert.equal(between.events.filter(({ event }) => event.startsWith('donation.')).length, 4);
        assert.ok(between.events.some(({ event }) => event === 'notification'), 'and what is its own');
        open();

        for (const each of taps) {
          assert.deepEqual(await each.ready(2, 15_000), {
            position: seen, recovered: true, user: { id: ngo.id, role: 'NGO' },
          });
          assert.equal(each.socket.recovered, true);
          assert.equal(each.socket.id, ids.get(each), 'the same socket');
          assert.equal(each.drops.length, 1);
          assert.ok(REASONS[signal].includes(each.drops[0]), each.drops[0]);
          assert.equal(each.connects, 2);
          assert.deepEqual(await each.ask('feed.resume', { after: seen }), { ...between, recovered: true, more: false });
        }

        // And live again.
        const last = await server.create(donor);
        const all = await server.events(ngo, begin);
        assert.ok(all.last > newest, 'something is new');
        const listed = all.events.filter(({ event }) => event.startsWith('donation.'));
        assert.equal(listed.at(-1).data.id, last.id);
        for (const each of taps) {
          await each.reached(all.last);
          sameList(each.feed().map(logged), all.events, 'all of it, once and in order, with no code of its own');
          assert.ok(each.errors.every((err) => err.data === undefined), 'no refusal, only a server that is away');
        }
      });
    }
  }
});

describe('nothing acknowledged is lost', { concurrency: true }, () => {
  for (const signal of Object.keys(REASONS)) {
    test(signal, { timeout: 40_000 }, async (t) => {
      const server = await Server.start(t);
      const { donor, ngo, admin } = await server.people();
      const taps = NAMESPACES.map((namespace) => tap(server, { by: donor, namespace }));
      await Promise.all(taps.map((each) => each.ready()));
      const begin = (await server.events(admin)).position;

      const acked = new Map(); // donation id to the last version that was acknowledged
      let down = false;
      const keep = ({ id, version }) => acked.set(id, version);
      const writers = Array.from({ length: 6 }, async () => {
        try {
          for (;;) {
            const made = await server.create(donor);
            keep(made);
            keep(await server.ok('PATCH', `/donations/${made.id}/claim`, { by: ngo }));
          }
        } catch (err) {
          if (!down) throw err; // a request that was under way when the server went is nobody's fault
        }
      });
      await Promise.race([until('enough donations', () => acked.size > 60, { ms: 15_000, server }), Promise.all(writers)]);
      down = true;
      await server.stop(signal);
      await Promise.all(writers);
      await server.launch();

      const log = await server.events(admin, begin);
      const events = log.events.filter(({ event }) => event.startsWith('donation.'));
      const own = await server.events(donor, begin);
      assert.deepEqual(own.events.filter(({ event }) => event.startsWith('donation.')), events, 'of donations all hear the same');
      const list = new Map((await server.ok('GET', '/donations?limit=1000')).map((d) => [d.id, d]));
      for (const [id, version] of acked) {
        assert.ok(list.get(id)?.version >= version, `donation ${id} was acknowledged at version ${version}`);
        const history = events.filter(({ data }) => (data.id ?? data.donationId) === id);
        assert.deepEqual(history.map(({ data }) => data.version), [1, 2].slice(0, list.get(id).version));
      }
      const [some] = acked.keys();
      assert.deepEqual(await server.ok('GET', `/donations/${some}/history`, { by: donor }),
        events.filter(({ data }) => (data.id ?? data.donationId) === some));
      // Nor is there a donation without its event, or an event without its donation.
      const created = events.filter(({ event }) => event === 'donation.created').map(({ data }) => data.id);
      assert.deepEqual([...list.keys()].sort(), created.sort());

      for (const each of taps) {
        const live = each.feed().map(logged);
        await each.ready(2, 15_000);
        const resumed = await each.ask('feed.resume', { after: live.at(-1).position });
        assert.equal(resumed.recovered, true);
        assert.equal(resumed.position, own.position);
        sameList([...live, ...resumed.events], own.events, each.label);
      }
    });
  }
});
