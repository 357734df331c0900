// The console in a real browser: four people, each with a page of their own, see a donation travel.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Browser, found } from './browser.mjs';
import { ADMIN, Server } from './harness.mjs';

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const password = 'interop of the console';

test('the console', { skip: found ? false : 'no Chromium', timeout: 120_000 }, async (t) => {
  const server = await Server.start(t);
  const browser = await Browser.start(t);
  const photo = path.join(server.data, 'photo.png');
  await fs.writeFile(photo, Buffer.from(PIXEL, 'base64'));
  const people = {};
  const pages = [];
  const open = async (options) => {
    const page = await browser.page(server.url, options);
    pages.push(page);
    return page;
  };
  const register = async (page, role, fields = {}) => {
    await page.click('#show-register');
    await page.click(`#register [value=${role}]`);
    const email = `${role}-${randomUUID().slice(0, 8)}@interop.example`;
    await page.fill('register', { name: `The ${role}`, email, password, ...fields });
    if (role === 'NGO') await page.choose('#register [name=certificate]', photo);
    await page.click('#register .primary');
    await page.sees('#bar-name', new RegExp(`The ${role}`));
    await page.sees('#link-text', /^Live/);
  };

  people.ngo = await open();
  await register(people.ngo, 'NGO', { organizationName: 'Soup Kitchen' });
  await people.ngo.sees('#bar-verified', /Waiting for verification/);

  people.admin = await open();
  await people.admin.signIn(ADMIN);
  await people.admin.sees('#approvals', /Soup Kitchen/);
  const certificate = await people.admin.run(async () => {
    const answer = await fetch(document.querySelector('#approvals a').href);
    return [answer.status, answer.headers.get('content-type')];
  });
  assert.deepEqual(certificate, [200, 'image/jpeg']);
  await people.admin.click('#approvals button[aria-label]');
  await people.ngo.sees('#bar-verified', /^Verified/);

  people.volunteer = await open({ width: 390, height: 844, place: { latitude: 52.5, longitude: 13.4 } });
  await register(people.volunteer, 'VOLUNTEER');
  await people.volunteer.click('#available-box');
  await people.volunteer.sees('#toasts', /Trips near you/);

  people.donor = await open();
  await register(people.donor, 'DONOR');
  await people.donor.run(() => { document.getElementById('offer').open = true; });
  await people.donor.fill('offer-form', { name: 'Lentil soup', address: '1 Main St', latitude: '52.52', longitude: '13.405' });
  await people.donor.choose('#offer-form [name=images]', photo);
  await people.donor.click('#offer-form .primary');
  for (const page of Object.values(people)) await page.sees('#cards', /Lentil soup[\s\S]*Available/);
  assert.match(await people.ngo.run(async () => {
    const image = document.querySelector('#cards img');
    await image.decode(); // fails for one that can't be shown
    return new URL(image.currentSrc).pathname;
  }), /^\/media\/.+-(320|1280)\.jpg$/);

  await people.ngo.run(() => { document.getElementById('notices').open = true; });
  await people.ngo.sees('#notices', /New food available/);
  await people.ngo.click('#notices-read');
  await people.ngo.sees('#notices', /^(?![\s\S]*new)[\s\S]*New food available/);

  await people.ngo.click('#cards .primary'); // claim
  await people.donor.sees('#cards', /Claimed/);
  await people.volunteer.sees('#cards', /Proposed to you/);
  await people.volunteer.click('#cards .primary'); // pick up
  await people.volunteer.sees('#cards', /You are carrying this/);
  await people.ngo.sees('#cards', /Picked up/);
  await people.volunteer.click('#cards .primary'); // deliver
  await people.donor.sees('#cards', /Delivered/);
  await people.ngo.sees('#impact', /1 donation delivered, 5 kg/, 15_000);

  // A restart is seen, and over.
  await server.restart();
  for (const page of pages) await page.sees('#link-text', /^Live/, 20_000);
  for (const [who, page] of Object.entries(people)) assert.deepEqual(page.faults, [], who);
});

// With more open donations than a list holds at once there are still the newest of each status, and one's own trips.
test('the console of a large board', { skip: found ? false : 'no Chromium', timeout: 120_000 }, async (t) => {
  const server = await Server.start(t);
  const browser = await Browser.start(t);
  const { donor, ngo } = await server.people();
  const rival = await server.account('NGO');
  const list = async (name, claimer) => {
    const { id } = await server.create(donor, { name });
    if (claimer) await server.ok('PATCH', `/donations/${id}/claim`, { by: claimer });
  };
  await list('Old bread');
  await list('Old soup', ngo);
  await Promise.all(Array.from({ length: 20 }, async (_, one) => {
    for (let n = one; n < 1001; n += 20) await list('New rice', rival);
  }));

  const page = await browser.page(server.url);
  await page.signIn({ email: ngo.email, password: 'interop' });
  for (const [filter, count, last] of [['AVAILABLE', 1, /Old bread/], ['CLAIMED', 1001, /Old soup[\s\S]*Claimed by you/]]) {
    await page.click(`#filters [data-filter=${filter}]`);
    await page.sees(`#filters [data-filter=${filter}] .count`, new RegExp(`^${count}$`), 20_000);
    await page.sees('#cards > :last-child', last);
  }
  await page.sees('#board-note', /Only the newest 1,000 of each status/);
  assert.deepEqual(page.faults, []);
});
