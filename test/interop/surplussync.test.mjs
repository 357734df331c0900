// SurplusSync's front end, unmodified, on a fresh server: one story of four people and an admin that
// comes through every page. Clauses P-10 to P-17, P-25, S-50.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN, Server } from './harness.mjs';
import { Refusal, Tab } from './surplussync.mjs';

const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGCAIAAABxZ0isAAAAKklEQVR42mNgiDqBHWlEbcGKGAKiFmBFDBVRPVgRw4KoCqyI4URUClYEAJQFP8FVJYZAAAAAAElFTkSuQmCC', 'base64');
const PDF = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');
const png = (name) => ({ name, type: 'image/png', bytes: PNG });

const refused = (status) => (err) => err instanceof Refusal && err.status === status;

test('every page of SurplusSync', { timeout: 60_000 }, async (t) => {
  const server = await Server.start(t);
  const [donor, ngo, volunteer, admin, newcomer] = Array.from({ length: 5 }, () => new Tab(server));
  const three = [donor, ngo, volunteer];
  const password = 'secret'; // six characters are enough for the form
  let open; // what failed: no later page could do better
  const step = (name, run) => t.test(name, async () => {
    assert.ok(!open, `after: ${open}`);
    open = name;
    await run();
    open = undefined;
  });
  let food, second, third;

  await step('Register', async () => {
    const form = { password, phone: '+91 98', address: '1 MG Road' };
    await donor.register({ ...form, name: 'Dora', email: 'dora@ui.example', role: 'DONOR', organizationName: 'Green Cafe' });
    await volunteer.register({ password, phone: '1', name: 'Vik', email: 'vik@ui.example', role: 'VOLUNTEER' });
    await ngo.register({ ...form, name: 'Nina', email: 'nina@ui.example', role: 'NGO', organizationName: 'Helping Hands' },
      { name: 'certificate.2026.pdf', type: 'application/pdf', bytes: PDF });
    await newcomer.register({ ...form, name: 'Omar', email: 'omar@ui.example', role: 'NGO', organizationName: 'New Hope' }, png('scan.png'));
    assert.deepEqual(three.map(({ user }) => [user.role, user.isVerified]), [['DONOR', true], ['NGO', false], ['VOLUNTEER', true]]);
    // Somebody chose a certificate as an NGO, and then another role.
    await new Tab(server).register({ ...form, name: 'Eve', email: 'eve@ui.example', role: 'DONOR', organizationName: 'E' }, png('old.png'));
    await assert.rejects(new Tab(server).register({ ...form, name: 'D', email: 'DORA@ui.example', role: 'DONOR' }), refused(409));
    await assert.rejects(new Tab(server).register({ ...form, name: 'D', email: 'd@ui.example', password: 'short' }), refused(400));
    await assert.rejects(new Tab(server).register({ ...form, name: 'D', email: 'no address' }), refused(400));
  });

  await step('Login, eleven times within seconds from one address', async () => {
    await assert.rejects(new Tab(server).login('dora@ui.example', 'wrong'), refused(401));
    for (let i = 0; i < 11; i++) {
      const tab = three[i % 3];
      await tab.login(tab.user.email, password);
    }
    assert.equal((await admin.login(ADMIN.email, ADMIN.password)).role, 'ADMIN');
  });

  await step('layout, Profile', async () => {
    for (const tab of [...three, newcomer]) {
      const { profile, unread } = await tab.layout();
      assert.deepEqual([profile.karmaPoints, profile.level, profile.trustScore, profile.badges, unread], [0, 1, 0, [], 0]);
      assert.deepEqual(profile.badgeCatalog.map(({ id }) => id), ['1', '2', '3', '4', '5']);
    }
    const changed = await donor.change({ name: 'Dora D.', phone: '', address: '2 MG Road', organizationName: 'Green Cafe' });
    assert.deepEqual([changed.name, changed.address], ['Dora D.', '2 MG Road']);
    await volunteer.change({ vehicleType: 'bike', vehicleNumber: 'KA 01' });
    assert.equal((await volunteer.change({ isAvailable: true })).isAvailable, true);
    const profile = await volunteer.profile();
    assert.deepEqual([profile.vehicleType, profile.vehicleNumber, profile.isAvailable], ['bike', 'KA 01', true]);
  });

  await step('live connections', async () => {
    for (const tab of [...three, newcomer]) {
      const { user } = await tab.connect();
      assert.deepEqual(user, { id: tab.user.id, role: tab.user.role });
      assert.equal(tab.live.socket.io.engine.transport.name, 'websocket');
    }
  });

  await step('Admin: users and verification', async () => {
    let area = await admin.adminArea();
    assert.deepEqual(area.pending.map(({ organizationName }) => organizationName).sort(), ['Helping Hands', 'New Hope']);
    assert.ok(area.notices.some(({ id, priority }) => id === 'pending-ngos' && priority === 'high'));
    for (const { organizationName, certificateUrl } of area.pending) {
      const res = await fetch(certificateUrl); // as a frame or an image does, without a token
      const bytes = Buffer.from(await res.arrayBuffer());
      assert.equal(res.status, 200);
      const pdf = organizationName === 'Helping Hands';
      assert.match(res.headers.get('content-type'), pdf ? /^application\/pdf/ : /^image\//);
      assert.equal(certificateUrl.toLowerCase().includes('.pdf'), pdf, 'the page shows the others as images');
      if (pdf) assert.deepEqual(bytes, PDF);
      assert.equal((await fetch(certificateUrl.replace(/\?.*/, ''))).status, 403, 'without the signature');
    }
    await admin.verify(ngo.user.id);
    area = await admin.adminArea();
    assert.deepEqual(area.pending.map(({ name }) => name), ['Omar']);
    assert.equal((await ngo.profile()).isVerified, true);
    assert.deepEqual(area.users.map(({ name }) => name).sort(), ['Administrator', 'Dora D.', 'Eve', 'Nina', 'Omar', 'Vik']);

    const eve = area.users.find(({ name }) => name === 'Eve');
    for (const active of [false, true]) {
      await admin.toggle(eve.id);
      const { users } = await admin.adminArea();
      assert.equal(users.find(({ id }) => id === eve.id).isActive, active);
      const login = new Tab(server).login(eve.email, password);
      await (active ? login : assert.rejects(login, refused(403)));
    }
  });

  await step('Donor, AddFood', async () => {
    assert.deepEqual(await donor.donations(), []);
    food = await donor.addFood({ name: 'Veg Biryani', foodType: 'cooked' });
    for (const tab of three) await tab.hears('donation.created', ({ id }) => id === food.id);
    for (const tab of [ngo, volunteer]) {
      await tab.hears('notification', ({ type }) => type === 'new_food_nearby');
    }
    // What a page fetches because of the event has the row.
    for (const tab of three) {
      const [row] = await tab.donations();
      assert.deepEqual([row.id, row.donorName, row.donorId, row.quantity, row.imageUrls], [food.id, 'Green Cafe', donor.user.id, 5, []]);
    }
    // The project's own tests look for it so.
    const found = await donor.get('/donations', { status: 'AVAILABLE', _t: Date.now() });
    assert.ok(found.some(({ name }) => name === 'Veg Biryani'));

    second = await donor.addFood({ name: 'Apples', foodType: 'fruits', description: 'red', quantity: '0.5', unit: 'boxes' }, [png('my.lunch.png')]);
    third = await donor.addFood({ name: 'Bread', foodType: 'bakery' }, [1, 2, 3, 4, 5].map((n) => png(`${n}.png`)));
    const rows = await ngo.donations('AVAILABLE');
    assert.deepEqual(rows.map(({ name, imageUrls }) => [name, imageUrls.length]), [['Bread', 5], ['Apples', 1], ['Veg Biryani', 0]]);
    for (const url of rows.flatMap(({ imageUrls }) => imageUrls)) {
      const res = await fetch(url);
      assert.deepEqual([res.status, res.headers.get('content-type')], [200, 'image/jpeg']);
      await res.arrayBuffer();
    }
    await assert.rejects(donor.addFood({ name: 'Six', foodType: 'raw' }, Array.from('123456', (n) => png(`${n}.png`))), refused(400));
    await assert.rejects(donor.addFood({ name: 'Late', foodType: 'cooked', prepared: new Date(Date.now() - 3 * 3600_000) }), refused(400));
    await assert.rejects(volunteer.addFood({ name: 'Not mine', foodType: 'raw' }), refused(403));
  });

  await step('Alerts', async () => {
    const prepared = new Date(Date.now() - 23 * 3600_000 + 4000); // it has an hour and four seconds
    const soon = await donor.addFood({ name: 'Salad', foodType: 'raw', prepared });
    await ngo.hears('donation.near_expiry');
    assert.ok((await ngo.donations('AVAILABLE', 'CLAIMED')).some(({ id }) => id === soon.id));
  });

  await step('NGO and Map: claim', async () => {
    await assert.rejects(volunteer.claim(food), refused(403)); // the Map offers it
    await assert.rejects(newcomer.claim(food), refused(403)); // not verified
    assert.equal((await ngo.claim(food)).status, 'CLAIMED');
    for (const tab of three) {
      const event = await tab.hears('donation.claimed', ({ donationId }) => donationId === food.id);
      assert.equal(event.claimedBy, ngo.user.id);
    }
    await assert.rejects(ngo.claim(food), refused(400));
    const assigned = await volunteer.hears('volunteer.assigned');
    assert.deepEqual([assigned.volunteerId, assigned.donationName, assigned.ngoName], [volunteer.user.id, 'Veg Biryani', 'Helping Hands']);
    await volunteer.hears('notification', ({ type }) => type === 'pickup_assigned');
    await donor.hears('notification', ({ type }) => type === 'food_claimed');
    assert.deepEqual(newcomer.live.named('volunteer.assigned'), []);
    assert.equal((await ngo.donations()).find(({ id }) => id === food.id).claimedById, ngo.user.id);
  });

  await step('Volunteer, Navigation: pick-up', async () => {
    assert.deepEqual((await volunteer.donations('CLAIMED', 'PICKED_UP')).map(({ id }) => id), [food.id]);
    assert.deepEqual((await volunteer.deliveries()).map(({ id, status }) => [id, status]), [[food.id, 'CLAIMED']]);
    assert.equal((await volunteer.setStatus(food, 'PICKED_UP')).status, 'PICKED_UP');
    assert.equal((await volunteer.donations('CLAIMED', 'PICKED_UP'))[0].volunteerId, volunteer.user.id);
    assert.equal((await ngo.deliveries())[0].status, 'PICKED_UP');
    assert.deepEqual(await newcomer.deliveries(), []);
  });

  await step('Live tracking', async () => {
    await volunteer.share(12.98, 77.6);
    const name = `volunteer.location.${food.id}`;
    for (const tab of three) {
      await tab.live.until(name, () => tab.live.named(name).length === 1);
      const { timestamp, ...rest } = tab.live.named(name)[0].data;
      assert.ok(Date.now() - new Date(timestamp) < 60_000);
      assert.deepEqual(rest, { volunteerId: volunteer.user.id, donationId: food.id, lat: 12.98, lng: 77.6 });
    }
    await newcomer.live.ask('test'); // what was sent to him before has come
    assert.deepEqual(newcomer.live.named(name), []);
  });

  await step('Volunteer: delivery', async () => {
    await assert.rejects(donor.deliver(food), refused(403));
    assert.equal((await volunteer.setStatus(food, 'DELIVERED')).status, 'DELIVERED');
    assert.deepEqual(await volunteer.deliveries(), []);
    await donor.hears('notification', ({ type }) => type === 'delivery_confirmed');
    await ngo.claim(second);
    await volunteer.setStatus(second, 'PICKED_UP');
    assert.equal((await volunteer.deliver(second)).status, 'DELIVERED');
    const trips = (await volunteer.donations()).filter((d) => d.volunteerId === volunteer.user.id && d.status === 'DELIVERED');
    assert.deepEqual(trips.map(({ deliveredAt }) => typeof deliveredAt), ['string', 'string']);
  });

  await step('Impact, Leaderboards', async () => {
    const karma = await Promise.all(three.map(async (tab) => (await tab.layout()).profile.karmaPoints));
    assert.deepEqual(karma, [4 * 10 + 2 * 30, 2 * 10 + 2 * 20, 2 * 50]);
    assert.deepEqual((await ngo.profile()).badges.map((badge) => badge.split(' ')[0]), ['🌱', '🦸']);
    for (const [tab, total] of [[donor, 4], [ngo, 2], [volunteer, 2]]) {
      const { community, monthly, own } = await tab.impact();
      assert.deepEqual([community.totalDonations, community.deliveredDonations, community.activeDonations], [4, 2, 2]);
      assert.deepEqual([community.totalDonors, community.totalNGOs, community.totalVolunteers], [2, 2, 1]);
      assert.ok(community.kgRescued >= 5 && community.mealsProvided >= 11 && community.co2Saved >= 8, JSON.stringify(community));
      assert.equal(monthly.length, 6);
      const { total: all, delivered, claimed, meals } = monthly.at(-1);
      assert.deepEqual([all, delivered, claimed], [total, 2, 2]);
      assert.ok(meals >= 11);
      assert.ok(own.totalDonations === total && own.kgSaved >= 5 && own.mealsProvided >= 11, JSON.stringify(own));
    }
    for (const scope of ['all', 'weekly', 'monthly']) {
      const leaders = await donor.leaders(scope);
      assert.deepEqual(leaders.map(({ name, role, score }) => `${name}, ${role}: ${score}`).sort(), ['Green Cafe, Donor: 100', 'Helping Hands, NGO: 60', 'Vik, Volunteer: 100']);
      assert.deepEqual((await donor.leaders(scope, 'NGO')).map(({ id }) => id), [ngo.user.id]);
    }
  });

  await step('Feedback', async () => {
    let { delivered, reviews } = await ngo.feedback();
    assert.deepEqual([delivered.length, reviews.length], [2, 0]);
    await ngo.rate(food, 5, 'still hot');
    await ngo.rate(second, 4);
    await assert.rejects(ngo.rate(food, 1), refused(400));
    await assert.rejects(donor.rate(food, 5), refused(403));
    ({ reviews } = await ngo.feedback());
    assert.deepEqual(reviews.map(({ rating, comment, ngo: by }) => [rating, comment, by.name]), [[4, null, 'Nina'], [5, 'still hot', 'Nina']]);
    assert.deepEqual((await donor.feedback()).average, { averageScore: 4.5, totalReviews: 2 });
    assert.equal((await donor.profile()).trustScore, 4.5);
    const scored = await donor.addFood({ name: 'Curd', foodType: 'dairy' }); // sends the score along from now on
    assert.equal((await ngo.donations('AVAILABLE')).find(({ id }) => id === scored.id).donorTrustScore, 4.5);
  });

  await step('Notifications', async () => {
    const { id } = await volunteer.hears('notification', ({ type }) => type === 'pickup_assigned');
    const before = await volunteer.layout();
    await volunteer.markRead({ id });
    const after = await volunteer.layout();
    assert.equal(after.unread, before.unread - 1, 'the id of the live event is the one that counts');
    assert.equal((await volunteer.notifications()).find((n) => n.id === id).read, true);
    for (const tab of three) {
      assert.ok((await tab.layout()).unread > 0);
      // The list and the live events are the same.
      const live = tab.heard('notification').map((n) => n.id);
      const stored = (await tab.notifications()).map((n) => n.id);
      assert.deepEqual(stored, live.reverse(), `of ${tab.user.name}`);
      await tab.markAllRead();
      assert.equal((await tab.layout()).unread, 0);
    }
  });

  await step('Support tickets, and the admin answers', async () => {
    assert.deepEqual(await donor.tickets(), []);
    for (const priority of ['LOW', 'MEDIUM', 'HIGH']) await donor.openTicket(`Help: ${priority}`, 'My bike broke', priority);
    await assert.rejects(donor.openTicket('', '', 'LOW'), refused(400));
    await server.ok('POST', `/donations/${third.id}/flag`, { by: { token: ngo.storage.token }, body: { reason: 'It smells.' } });
    const { tickets, flagged, donations, notices } = await admin.adminArea();
    assert.deepEqual(tickets.map(({ userName, priority }) => [userName, priority]), ['HIGH', 'MEDIUM', 'LOW'].map((p) => ['Green Cafe', p]));
    assert.deepEqual(flagged.map(({ donationName, reportedByEmail, status }) => [donationName, reportedByEmail, status]), [['Bread', 'nina@ui.example', 'FLAGGED']]);
    assert.equal(donations.length, 5);
    assert.ok(['open-tickets', 'flagged-food'].every((id) => notices.some((n) => n.id === id)));
    await admin.answerTicket(tickets[0], 'RESOLVED', 'Take ours.');
    await admin.decideFlag(flagged[0], 'APPROVED');
    assert.deepEqual((await donor.tickets()).map(({ status, adminNote }) => [status, adminNote]), [['RESOLVED', 'Take ours.'], ['OPEN', null], ['OPEN', null]]);
    assert.deepEqual(await ngo.tickets(), []);
    assert.equal((await admin.adminArea()).flagged[0].status, 'APPROVED');
  });

  await step('the connection breaks, and the page has what it missed', async () => {
    volunteer.live.socket.io.reconnectionDelay(3000).reconnectionDelayMax(3000).randomizationFactor(0);
    volunteer.live.socket.io.engine.close(); // as a network does
    await volunteer.live.until('the end', () => volunteer.live.drops.length === 1);
    await ngo.claim(third);
    assert.equal(volunteer.live.socket.connected, false);
    await volunteer.hears('donation.claimed', ({ donationId }) => donationId === third.id);
    await volunteer.hears('volunteer.assigned', ({ donationName }) => donationName === 'Bread');
    assert.equal(volunteer.live.socket.recovered, true);
  });

  await step('the server is restarted, and every page has what it missed', async () => {
    const before = three.map((tab) => tab.live.connects);
    await server.restart('SIGTERM');
    const last = await donor.addFood({ name: 'Milk', foodType: 'dairy' });
    await ngo.claim(last);
    for (const [i, tab] of three.entries()) {
      await tab.hears('donation.created', ({ id }) => id === last.id);
      await tab.hears('donation.claimed', ({ donationId }) => donationId === last.id);
      assert.deepEqual([tab.live.connects, tab.live.socket.recovered], [before[i] + 1, true]);
      for (const name of ['donation.created', 'donation.claimed', 'notification']) {
        const ids = tab.heard(name).map(({ id, donationId }) => id ?? donationId);
        assert.equal(new Set(ids).size, ids.length, `${name}, once each`);
      }
    }
  });

  await step('an account that was suspended is out', async () => {
    await admin.toggle(volunteer.user.id);
    await volunteer.live.until('the end', () => !volunteer.live.socket.connected);
    await assert.rejects(volunteer.layout(), refused(403));
  });
});
