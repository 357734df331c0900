// A trip, as its three parties hear it and nobody else: who is proposed, and where the carrier is.
// Clauses P-14, P-16, P-25.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, until } from './harness.mjs';
import { isID, isPosition, isTime, logged, sameList } from './shapes.mjs';
import { MODES, NAMESPACES, plain, tap } from './tap.mjs';

for (const [mode, { options }] of Object.entries(MODES)) {
  test(`a trip, ${mode}`, { timeout: 30_000 }, (t) => trip(t, options));
}

async function trip(t, options) {
  const server = await Server.start(t);
  const { donor, ngo, volunteer } = await server.people();
  const bystander = await server.account('NGO');
  await server.ok('PATCH', '/auth/profile', { by: volunteer, body: { isAvailable: true, latitude: 52.5, longitude: 13.4 } });
  // The volunteer's first socket joins again only when the gate is open.
  let gate = Promise.resolve();
  const auth = (tell) => gate.then(() => tell({ token: volunteer.token }));
  const away = tap(server, { by: volunteer, auth, ...options });
  const join = (by) => [...NAMESPACES.map((namespace) => tap(server, { by, namespace, ...options })), plain(server, { by })];
  const parties = [donor, ngo, volunteer].flatMap(join);
  const others = join(bystander);
  for (const each of [away, ...parties, ...others]) await each.ready();
  const begin = (await away.ready()).position;
  const name = (event) => event.name ?? event.event;

  const propose = async (fields) => {
    const made = await server.create(donor, fields);
    const claimed = await server.ok('PATCH', `/donations/${made.id}/claim`, { by: ngo });
    assert.equal(claimed.assignedVolunteerId, volunteer.id);
    return claimed;
  };
  const expectProposal = async (each, d, donorAddress) => {
    const mine = () => each.named('volunteer.assigned').filter(({ data }) => data.donationId === d.id);
    await each.until('the proposal', () => mine().length > 0);
    const [{ data }] = mine();
    assert.deepEqual(data, {
      volunteerId: volunteer.id, donationId: d.id, donationName: d.name, donorAddress, ngoName: ngo.name, id: isID(data.id),
      createdAt: d.claimedAt, position: isPosition(data.position),
    });
    const feed = each.feed();
    const at = feed.findIndex((event) => event.data === data);
    assert.deepEqual([name(feed[at - 1]), feed[at - 1].data.donationId], ['donation.claimed', d.id], 'right behind the claim');
  };
  const one = await propose({});
  for (const each of [away, ...parties]) await expectProposal(each, one, '52.52000, 13.40500');

  // Who is away meanwhile hears of the next when he comes back.
  let open;
  gate = new Promise((resolve) => (open = resolve));
  away.socket.io.engine.close();
  await away.until('the connection is lost', () => away.drops.length > 0);
  const two = await propose({ address: 'Kaufstr. 1' });
  for (const each of parties) await expectProposal(each, two, 'Kaufstr. 1');
  open();
  assert.equal((await away.ready(2)).recovered, true);
  await expectProposal(away, two, 'Kaufstr. 1');

  // Where the carrier is. Who has something else on its way may miss one (P-16), so it is told again
  // and again, as a carrier does; of that one a second is passed on.
  const sender = parties.find((each) => each.label === 'VOLUNTEER /donations');
  const place = { donationId: one.id, lat: 52.51, lng: 13.41 };
  const heard = `volunteer.location.${one.id}`;
  const began = Date.now();
  await until('the place, by all parties', async () => {
    assert.deepEqual(await sender.ask('volunteer.shareLocation', place), { ok: true });
    return [away, ...parties].every((each) => each.named(heard).length > 0);
  }, { server });
  const most = 1 + (Date.now() - began) / 1000;
  for (const each of [away, ...parties]) {
    const times = each.named(heard).map(({ data }) => data.timestamp);
    assert.deepEqual(times, [...new Set(times)].sort(), 'in order, none twice');
    assert.ok(times.length <= most, `${times.length} places, one a second`);
    for (const { data } of each.named(heard)) {
      assert.deepEqual(data, { volunteerId: volunteer.id, ...place, timestamp: isTime(data.timestamp) });
    }
  }
  const refused = await others[0].ask('volunteer.shareLocation', place);
  assert.deepEqual([refused.status, refused.code], ['error', 'not_yours']);

  // All of it once and in order, and nothing of it to anybody else.
  await server.create(donor);
  for (const [by, list] of [[donor, parties.slice(0, 3)], [ngo, parties.slice(3, 6)], [volunteer, [away, ...parties.slice(6)]], [bystander, others]]) {
    const log = await server.events(by, begin);
    assert.equal(log.events.filter(({ event }) => event === 'volunteer.assigned').length, by === bystander ? 0 : 2);
    for (const each of list) {
      await each.reached(log.last);
      sameList(each.feed().map(({ name, event, data }) => logged({ name: name ?? event, data })), log.events, `${each.label}`);
      if (by === bystander) assert.equal(each.named(heard).length, 0, 'the place is not theirs');
    }
  }
}
