// One browser tab with SurplusSync's front end in it, as far as a server can tell: the requests that
// its pages send, the stock client with its options, and of every answer exactly what a page reads.
// What a page does not read is not looked at here; contract tests have the whole shapes.

import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { FRONTEND } from './harness.mjs';
import { Tap } from './tap.mjs';

// What pages take for granted of a value. A page that calls toFixed needs a number, not its text.
const text = (v) => typeof v === 'string';
const some = (v) => text(v) && v !== '';
const number = (v) => typeof v === 'number' && Number.isFinite(v);
const flag = (v) => typeof v === 'boolean';
const date = (v) => text(v) && !Number.isNaN(new Date(v).getTime());
const maybe = (check) => (v) => v === null || v === undefined || check(v);
const list = (check) => (v) => Array.isArray(v) && v.every(check);
const one = (...names) => (v) => names.includes(v);
const address = (v) => text(v) && /^https?:\/\//.test(v);
const like = (fields) => (v) => v !== null && typeof v === 'object' && Object.entries(fields).every(([name, check]) => check(v[name]));

// read wants the fields that a page reads, and returns what it was given.
export function read(what, value, fields) {
  assert.ok(value !== null && typeof value === 'object' && !Array.isArray(value), `${what}: an object, got ${JSON.stringify(value)}`);
  for (const [name, check] of Object.entries(fields)) {
    assert.ok(check(value[name]), `${what}: ${name} is ${JSON.stringify(value[name])} in ${JSON.stringify(value)}`);
  }
  return value;
}

const readAll = (what, rows, fields) => {
  assert.ok(Array.isArray(rows), `${what}: a bare array, got ${JSON.stringify(rows)}`);
  return rows.map((row) => read(what, row, fields));
};

const SESSION = { id: some, email: some, name: some, role: one('DONOR', 'NGO', 'VOLUNTEER', 'ADMIN'), isVerified: flag };
const PROFILE = {
  ...SESSION,
  // An empty text would hide the name: AddFood takes the organisation unless it is null.
  organizationName: maybe(some), phone: maybe(text), address: maybe(text),
  trustScore: number, karmaPoints: number, level: number, nextLevelPoints: number,
  badges: list((v) => some(v) && /^\p{Extended_Pictographic}\S* \S/u.test(v)), // the first word is shown as the icon
  badgeCatalog: list(like({ id: some, name: some, icon: some, description: some, earned: flag, requirement: number })),
  impactStats: like({ totalDonations: number, mealsProvided: number, kgSaved: number }),
  isAvailable: flag, vehicleType: maybe(text), vehicleNumber: maybe(text),
  dailyIntakeCapacity: maybe(number), currentIntakeLoad: number, capacityUnit: maybe(text),
};
const LISTED = {
  id: some, name: some, foodType: some, quantity: (v) => number(Number(v)), unit: some, description: maybe(text), donorId: some,
  donorName: some, donorTrustScore: maybe(number), latitude: number, longitude: number, address: maybe(text),
  hygiene: maybe(like({ keptCovered: flag, containerClean: flag })), preparationTime: date, expiryTime: date, createdAt: date,
  status: one('AVAILABLE', 'CLAIMED', 'PICKED_UP', 'DELIVERED'), claimedById: maybe(some), volunteerId: maybe(some),
  deliveredAt: maybe(date), imageUrls: list(address),
};
export const NOTIFICATION = { id: some, title: some, message: some, type: some, read: flag, createdAt: date };
const COMMUNITY = [
  'totalDonations', 'deliveredDonations', 'activeDonations', 'mealsProvided', 'kgRescued', 'co2Saved', 'totalDonors', 'totalNGOs', 'totalVolunteers',
];
const TICKET = {
  id: some, subject: some, description: some, priority: one('LOW', 'MEDIUM', 'HIGH'), adminNote: maybe(text), createdAt: date,
  status: one('OPEN', 'IN_PROGRESS', 'RESOLVED', 'CLOSED'),
};
const REVIEW = { id: some, donationId: some, rating: number, comment: maybe(text), createdAt: date };

// EVENTS are the fields that pages use of each event.
const EVENTS = {
  'donation.created': {
    id: some, name: some, foodType: some, donorName: some, expiryTime: date, location: like({ lat: number, lng: number, address: text }),
  },
  'donation.claimed': { donationId: some, claimedBy: some, status: one('CLAIMED') },
  'volunteer.assigned': { volunteerId: some, donationName: some, donorAddress: some },
  'notification': { ...NOTIFICATION, read: (v) => v === false },
  'donation.near_expiry': {},
};

// Refusal is what the HTTP client of the front end throws, and message what a page then shows.
export class Refusal extends Error {
  constructor(status, body) {
    const message = body?.message;
    const shown = Array.isArray(message) && message.length > 0 ? message.join() : message;
    assert.ok(some(shown), `${status}: a message to show, got ${JSON.stringify(body)}`);
    super(shown);
    this.status = status;
  }
}

// Tab is one tab of a browser. storage is its local storage: nothing else outlives a page.
export class Tab {
  storage = {};

  constructor(server) {
    this.server = server;
  }

  get user() {
    return this.storage.user;
  }

  // send is a request as a browser sends it from another origin: whoever may not read the answer gets none.
  async send(method, path, { json, form, params } = {}) {
    const query = params ? `?${new URLSearchParams(params)}` : ''; // commas are encoded
    const res = await fetch(this.server.url + path + query, {
      method,
      headers: {
        'accept': 'application/json, text/plain, */*',
        'origin': FRONTEND,
        ...(this.storage.token && { authorization: `Bearer ${this.storage.token}` }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
      },
      body: form ?? (json === undefined ? undefined : JSON.stringify(json)),
    });
    assert.equal(res.headers.get('access-control-allow-origin'), FRONTEND, `${method} ${path}: a browser hides the answer`);
    const body = await res.json();
    if (res.status === 401 && this.storage.token) this.storage = {}; // and the page reloads as /login
    if (!res.ok) throw new Refusal(res.status, body);
    assert.equal(res.status, method === 'POST' ? 201 : 200, `${method} ${path}`);
    return body;
  }

  get = (path, params) => this.send('GET', path, { params });
  patch = (path, json) => this.send('PATCH', path, { json });
  post = (path, json) => this.send('POST', path, { json });

  // bare and wrapped say which of the two forms a page takes.
  signedIn({ data }) {
    read('sign-in', data, { token: some, user: like(SESSION) });
    this.storage = { token: data.token, user: data.user };
    return data.user;
  }

  // Register: JSON, or a form as soon as a certificate was chosen. Every field is sent, also empty.
  async register(fields, certificate) {
    const all = { name: '', email: '', password: '', phone: '', role: 'DONOR', organizationName: '', organizationType: '', address: '', ...fields };
    if (all.role !== 'NGO' && !certificate) return this.signedIn(await this.post('/auth/register', all));
    return this.signedIn(await this.send('POST', '/auth/register', { form: formOf(all, { certificate: certificate ? [certificate] : [] }) }));
  }

  // Login
  async login(email, password) {
    this.storage = {};
    return this.signedIn(await this.post('/auth/login', { email, password }));
  }

  // The layout around every page: the profile becomes "the user", and the bell counts.
  async layout() {
    const profile = await this.profile();
    return { profile, unread: (await this.notifications()).filter((n) => !n.read).length };
  }

  async profile() {
    const profile = read('profile', await this.get('/auth/profile'), PROFILE);
    this.storage.user = { ...this.storage.user, ...profile };
    return profile;
  }

  // Profile and Volunteer: the answer replaces the user.
  async change(fields) {
    const { data } = await this.patch('/auth/profile', fields);
    this.storage.user = read('changed profile', data, PROFILE);
    return data;
  }

  // All pages with donations. What is over, or past its time, is not shown.
  async donations(...status) {
    const rows = await this.get('/donations', status.length > 0 ? { status: status.join(',') } : undefined);
    readAll('donations', rows, LISTED);
    if (status.length > 0) assert.ok(rows.every((d) => status.includes(d.status)), `only ${status}`);
    return rows.filter((d) => new Date(d.expiryTime) >= new Date());
  }

  // AddFood. There is no address; the donor is whoever the storage says.
  async addFood(fields, images = []) {
    const { id, organizationName, name, trustScore } = this.user;
    const hours = { cooked: 4, raw: 24, packaged: 720, fruits: 48, bakery: 24, dairy: 48 }[fields.foodType];
    const prepared = fields.prepared ?? new Date(new Date().setSeconds(0, 0)); // datetime-local knows minutes
    return this.send('POST', '/donations', {
      form: formOf({
        name: fields.name,
        foodType: fields.foodType,
        quantity: fields.quantity ?? '5',
        unit: fields.unit ?? 'kg',
        description: fields.description ?? '',
        preparationTime: prepared.toISOString(),
        expiryTime: new Date(prepared.getTime() + hours * 3600_000).toISOString(),
        donorId: String(id).trim(),
        donorName: String(organizationName ?? name).trim(),
        ...(trustScore && { donorTrustScore: trustScore.toString() }),
        latitude: String(fields.lat ?? 12.9716),
        longitude: String(fields.lng ?? 77.5946),
        hygiene: JSON.stringify({ keptCovered: true, containerClean: true }),
      }, { images }),
    });
  }

  // NGO, Map, Alerts
  claim = ({ id }) => this.patch(`/donations/${id}/claim`, { estimatedPickupTime: new Date().toISOString() });

  // Volunteer, Map
  setStatus = ({ id }, status) => this.patch(`/donations/${id}/status`, { status });

  // Volunteer
  deliver = ({ id }) => this.send('PATCH', `/donations/${id}/deliver`);

  // Live tracking
  async deliveries() {
    return readAll('my deliveries', await this.get('/donations/my-deliveries'), {
      id: some, name: some, address: maybe(text), status: one('CLAIMED', 'PICKED_UP'), donorName: some, createdAt: date,
    });
  }

  // share tells a position for each active delivery, and waits for nothing.
  async share(lat, lng) {
    for (const { id } of await this.deliveries()) {
      this.live.socket.emit('volunteer.shareLocation', { volunteerId: this.user.id, donationId: id, lat, lng });
    }
  }

  // Impact
  async impact() {
    const { data } = await this.get('/donations/stats/community');
    read('community', data, Object.fromEntries(COMMUNITY.map((name) => [name, number])));
    const monthly = (await this.get('/donations/stats/monthly')).data;
    readAll('monthly', monthly, { label: some, total: number, delivered: number, claimed: number, meals: number });
    return { community: data, monthly, own: (await this.profile()).impactStats };
  }

  // Leaderboards
  async leaders(scope = 'all', role) {
    const { data } = await this.get('/donations/leaderboard', { scope, ...(role && { role }) });
    return readAll('leaderboard', data, { id: some, name: some, role: one('Donor', 'NGO', 'Volunteer'), score: number });
  }

  // Notifications, and the bell
  notifications = async () => readAll('notifications', await this.get('/notifications'), NOTIFICATION);
  markRead = ({ id }) => this.send('PATCH', `/notifications/${id}/read`);
  markAllRead = () => this.send('PATCH', '/notifications/read-all');

  // Feedback: one list for each delivered donation, and for a donor the average.
  async feedback() {
    const reviews = [];
    const delivered = (await this.donations()).filter((d) => d.status === 'DELIVERED');
    for (const { id } of delivered) {
      reviews.push(...readAll('feedback', await this.get(`/feedback/donation/${id}`), { ...REVIEW, ngo: like({ name: some }) }));
    }
    const average = this.user.role === 'DONOR' && read('average', await this.get(`/feedback/donor/${this.user.id}/average`), {
      averageScore: number, totalReviews: number,
    });
    return { delivered, reviews, average };
  }

  async rate({ id }, rating, comment) {
    return read('new feedback', await this.post('/feedback', { donationId: id, rating, comment }), REVIEW);
  }

  // Support tickets
  tickets = async () => readAll('tickets', await this.get('/support/tickets'), TICKET);

  async openTicket(subject, description, priority) {
    return read('new ticket', await this.post('/support/tickets', { subject, description, priority }), TICKET);
  }

  // The admin's page: each tab with what its table shows.
  async adminArea() {
    return {
      notices: readAll('notices', await this.get('/admin/notifications'), { id: some, type: some, title: some, message: some, priority: one('high', 'medium', 'low') }),
      pending: readAll('pending', await this.get('/admin/pending-ngos'), {
        id: some, name: some, organizationName: maybe(text), email: some, createdAt: date, certificateUrl: maybe(address),
      }),
      users: readAll('users', await this.get('/admin/users'), {
        id: some, name: some, organizationName: maybe(text), email: some, role: some, isActive: flag, createdAt: date,
      }),
      donations: readAll('donations', await this.get('/admin/donations'), {
        id: some, name: some, foodType: some, quantity: (v) => number(Number(v)), unit: some, status: some, createdAt: date, donor: like({ email: some }),
      }),
      flagged: readAll('flagged', await this.get('/admin/flagged'), {
        id: some, donationName: some, reportedByEmail: some, reason: some, status: one('FLAGGED', 'APPROVED', 'REJECTED', 'ESCALATED'), createdAt: date,
      }),
      tickets: readAll('tickets', await this.get('/admin/tickets'), { ...TICKET, userName: some, userEmail: some }),
    };
  }

  verify = (id) => this.send('PATCH', `/admin/verify/${id}`);
  toggle = async (id) => read('toggle', await this.send('PATCH', `/admin/users/${id}/toggle-status`), { message: some });
  answerTicket = ({ id }, status, adminNote) => this.patch(`/admin/tickets/${id}`, { status, adminNote });
  decideFlag = ({ id }, status) => this.patch(`/admin/flagged/${id}`, { status });

  // connect opens the one live connection of the tab, with the front end's options; its origin is the
  // browser's doing. Pages check what they use of each event.
  connect() {
    const socket = io(this.server.url, {
      auth: { token: this.storage.token },
      transports: ['websocket', 'polling'],
      reconnectionDelay: 1000,
      reconnectionDelayMax: 5000,
      reconnectionAttempts: 5,
      extraHeaders: { origin: FRONTEND },
    });
    this.server.clients.add({ close: () => socket.io.reconnection(false)._close() });
    this.live = new Tap(this.server, socket, this.user.name, []);
    return this.live.ready();
  }

  // heard returns the events of a name so far, and wants in each what pages use.
  heard(name) {
    return this.live.named(name).map(({ data }) => read(`${this.user.name}: ${name}`, data, EVENTS[name]));
  }

  // hears waits for the first event of a name for which match holds, and returns it.
  hears(name, match = () => true) {
    return this.live.until(name, () => this.heard(name).find(match));
  }
}

// formOf is multipart/form-data: texts, and files of { name, type, bytes }.
function formOf(texts, files) {
  const form = new FormData();
  for (const [name, value] of Object.entries(texts)) form.append(name, value);
  for (const [name, all] of Object.entries(files)) {
    for (const file of all) form.append(name, new Blob([file.bytes], { type: file.type }), file.name);
  }
  return form;
}
