// The board: every donation the page knows, kept current by events. A version decides what is
// newer, so events, answers and lists may arrive in any order.

import { ask, now, request } from './api.js';
import { Card, isOpen, statuses } from './card.js';
import { $, el, setText, show, toast } from './dom.js';

const OVER = 100; // how many are shown of those that are over
const LINGER = 8000; // how long a card stays after its new status no longer fits the filter

const filters = {
  open: { label: 'Open', holds: isOpen },
  ...Object.fromEntries(['AVAILABLE', 'CLAIMED', 'PICKED_UP', 'DELIVERED'].map(
    (s) => [s, { label: statuses[s], holds: (d) => d.status === s }])),
  ended: { label: 'Ended', holds: (d) => d.status === 'EXPIRED' || d.status === 'CANCELLED' },
};

const cards = new Map(); // by donation id
let user = null;
let filter = 'open';
let loading = null;
let again = false;
let loaded = false;
let planned = false;

export const nameOf = (id) => cards.get(id)?.donation.name;

export function setUser(value) {
  user = value;
  for (const card of cards.values()) card.update(card.donation, user, now());
  plan();
}

// load reads the list. Calls that come while it runs are answered by one more run.
export function load() {
  again = true;
  loading ??= (async () => {
    while (again) {
      again = false;
      await loadOnce();
    }
  })().finally(() => { loading = null; });
  return loading;
}

async function loadOnce() {
  const before = new Map([...cards].map(([id, card]) => [id, card.donation]));
  $('cards').setAttribute('aria-busy', 'true');
  try {
    // In one piece the newest of each status come, so that none pushes out another; the
    // person's own trips may be older.
    const [open, over, own] = await Promise.all([
      ask('GET', '/donations?status=AVAILABLE,CLAIMED,PICKED_UP'),
      request('GET', `/donations?status=DELIVERED,EXPIRED,CANCELLED&limit=${OVER}`),
      user ? request('GET', '/donations/my-deliveries') : [],
    ]);
    const found = new Set();
    for (const d of [...open.data, ...over, ...own]) {
      found.add(d.id);
      put(d);
    }
    // Whatever the lists no longer hold is gone, unless it came or changed while they were read.
    for (const [id, card] of cards) {
      if (!found.has(id) && before.get(id) === card.donation) cards.delete(id);
    }
    loaded = true;
    setText($('board-note'), open.more ? 'Only the newest 1,000 of each status are shown, and what you claim, carry or could carry.' : '');
  } catch (err) {
    setText($('board-note'), `The list could not be read. ${err.message}`);
  } finally {
    $('cards').setAttribute('aria-busy', 'false');
    plan();
  }
}

// put adds a whole donation, or replaces an older version of it.
export function put(d) {
  let card = cards.get(d.id);
  if (card && d.version < card.donation.version) return;
  const changed = loaded && card?.donation.version !== d.version;
  if (!card) {
    card = new Card(d, act);
    cards.set(d.id, card);
  }
  card.update(d, user, now());
  if (changed) {
    card.changedAt = Date.now();
    card.flash();
    card.fail('');
  }
  plan();
}

// apply takes one live event.
export function apply(name, data) {
  switch (name) {
    case 'donation.created':
      put({ ...blank, ...data, ...placeOf(data) });
      break;
    case 'donation.claimed':
      patch(data, { status: data.status, claimedById: data.claimedBy, claimedAt: data.claimedAt });
      break;
    case 'donation.status.updated':
      patch(data, after(data));
      break;
    case 'volunteer.assigned':
      propose(data);
      break;
  }
}

// propose shows to whom the claim before it proposed the trip, which that event does not say.
function propose({ donationId, volunteerId }) {
  const known = cards.get(donationId)?.donation;
  if (known?.status === 'CLAIMED') put({ ...known, assignedVolunteerId: volunteerId });
}

const blank = { status: 'AVAILABLE', version: 1, claimedById: null, volunteerId: null, pickedUpBy: null, imageUrls: [] };

function placeOf(data) {
  return {
    address: data.address ?? data.location?.address,
    latitude: data.latitude ?? data.location?.lat,
    longitude: data.longitude ?? data.location?.lng,
  };
}

// after says what a change of status changes besides it.
function after({ status, updatedBy, updatedAt, reason }) {
  switch (status) {
    case 'AVAILABLE': return { status, claimedById: null, claimedAt: null, volunteerId: null, assignedVolunteerId: null };
    case 'PICKED_UP': return { status, pickedUpBy: updatedBy, pickedUpAt: updatedAt };
    case 'DELIVERED': return { status, deliveredBy: updatedBy, deliveredAt: updatedAt };
    case 'CANCELLED': return { status, cancelReason: reason };
    default: return { status };
  }
}

// patch changes a known donation; one that is unknown, or of which a version was missed, is read.
function patch({ donationId, version }, change) {
  const known = cards.get(donationId)?.donation;
  if (known && version <= known.version) return;
  if (!known || version > known.version + 1) refetch(donationId);
  if (known) put({ ...known, ...change, version: version ?? known.version });
}

async function refetch(id) {
  try {
    put(await request('GET', `/donations/${encodeURIComponent(id)}`));
  } catch (err) {
    if (err.status === 404) {
      cards.delete(id);
      plan();
    }
  }
}

const requests = {
  claim: ['claim', {}],
  release: ['release', {}],
  deliver: ['deliver', {}],
  pickUp: ['status', { status: 'PICKED_UP' }],
};

async function act(card, name) {
  const { id, name: title } = card.donation;
  const [path, body] = name === 'cancel' ? ['cancel', await askReason(title)] : requests[name];
  if (!body) return;
  card.fail('');
  card.busy(true);
  try {
    const { karmaAwarded, donorKarmaAwarded, ...donation } = await request('PATCH', `/donations/${encodeURIComponent(id)}/${path}`, body);
    put(donation);
    toast(`${title}: ${statuses[donation.status].toLowerCase()}.${karmaAwarded ? ` You earned ${karmaAwarded} karma.` : ''}`);
  } catch (err) {
    await refetch(id); // somebody was faster, most likely
    if (cards.has(id)) card.fail(err.message);
    else toast(err.message);
  } finally {
    card.busy(false);
  }
}

function askReason(title) {
  const dialog = $('cancel');
  const form = $('cancel-form');
  form.reset();
  setText($('cancel-what'), title);
  dialog.showModal();
  return new Promise((resolve) => {
    let answer = null;
    form.onsubmit = (event) => {
      event.preventDefault();
      answer = { reason: new FormData(form).get('reason').trim() };
      dialog.close();
    };
    $('cancel-back').onclick = () => dialog.close();
    dialog.onclose = () => resolve(answer);
  });
}

// plan draws once however many events arrive before the next frame. Hidden pages have no frames.
function plan() {
  if (planned) return;
  planned = true;
  if (document.hidden) setTimeout(draw, 200);
  else requestAnimationFrame(draw);
}

function draw() {
  planned = false;
  const time = Date.now();
  const wanted = [...cards.values()]
    .filter((c) => filters[filter].holds(c.donation) || time - c.changedAt < LINGER)
    .sort((a, b) => Date.parse(b.donation.createdAt) - Date.parse(a.donation.createdAt));
  const list = $('cards');
  const keep = new Set(wanted.map((c) => c.node));
  for (const node of [...list.children]) if (!keep.has(node)) node.remove();
  let at = list.firstElementChild;
  for (const { node } of wanted) {
    if (node === at) at = at.nextElementSibling;
    else list.insertBefore(node, at);
  }
  for (const button of $('filters').children) {
    const { holds } = filters[button.dataset.filter];
    let count = 0;
    for (const c of cards.values()) if (holds(c.donation)) count++;
    setText(button.lastElementChild, String(count));
    button.setAttribute('aria-pressed', String(button.dataset.filter === filter));
  }
  show($('empty'), loaded && wanted.length === 0);
  setText($('empty'), cards.size === 0
    ? 'Nothing on the board yet.\nSign in as a donor and post the first donation.'
    : 'Nothing with this status right now.');
}

export function start() {
  $('filters').append(...Object.entries(filters).map(([name, { label }]) => el('button', {
    type: 'button',
    'data-filter': name,
    onclick: () => {
      filter = name;
      for (const card of cards.values()) card.changedAt = 0;
      plan();
    },
  }, label, el('span', { className: 'count' }))));
  $('refresh').onclick = load;
  setInterval(() => {
    const time = now();
    let leaving = false;
    for (const card of cards.values()) {
      card.tick(time);
      leaving ||= card.changedAt > 0 && Date.now() - card.changedAt >= LINGER;
      if (Date.now() - card.changedAt >= LINGER) card.changedAt = 0;
    }
    if (leaving) plan();
  }, 1000);
  plan();
}
