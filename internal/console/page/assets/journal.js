// The journal of live events: newest first, at most 200, raw JSON on demand.

import { $, el, show, timeOfDay } from './dom.js';

const MOST = 200;
let waiting = [];
let planned = false;
let nameOf = () => undefined;

const place = (d) => (d.location?.address ? ` at ${d.location.address}` : '');
// The end of an id tells donations apart; its beginning is the clock.
const named = (id) => nameOf(id) ?? `donation ${String(id).slice(-8)}`;
const low = (status) => String(status).toLowerCase().replace('_', ' ');

const summaries = {
  'donation.created': (d) => `${d.name}, ${d.quantity} ${d.unit}${place(d)}`,
  'donation.claimed': (d) => `${named(d.donationId)} was claimed`,
  'donation.status.updated': (d) => `${named(d.donationId)}: ${d.previousStatus ? `${low(d.previousStatus)} → ` : ''}${low(d.status)}${d.reason ? ` (${d.reason})` : ''}`,
  'donation.near_expiry': (d) => `${named(d.donationId)} expires soon`,
  'volunteer.assigned': (d) => `${d.donationName ?? named(d.donationId)} was proposed to a volunteer`,
  notification: (d) => `${d.title}: ${d.message}`,
  'feed.ready': (d) => `connected at position ${d.position}, ${d.recovered ? 'nothing missed' : 'list read again'}`,
  'auth.expiring': (d) => `the sign-in ends at ${d.expiresAt}`,
  'server.draining': () => 'the server is restarting',
  exception: (d) => [d.message].flat().join(', '),
};

export function record(name, data) {
  waiting.push({ name, data, at: new Date(), summary: summarise(name, data) });
  if (waiting.length > MOST) waiting.shift();
  if (planned) return;
  planned = true;
  if (document.hidden) setTimeout(draw, 200);
  else requestAnimationFrame(draw);
}

function summarise(name, data) {
  if (name.startsWith('volunteer.location.')) return 'the carrier moved';
  return data && summaries[name] ? summaries[name](data) : '';
}

function draw() {
  planned = false;
  const list = $('journal');
  for (const entry of waiting) list.prepend(row(entry));
  waiting = [];
  while (list.childElementCount > MOST) list.lastElementChild.remove();
  show($('journal-empty'), list.childElementCount === 0);
}

function row({ name, data, at, summary }) {
  const node = el('details', {},
    el('summary', {},
      el('time', { dateTime: at.toISOString() }, timeOfDay(at)),
      el('b', { 'data-kind': name === 'exception' ? 'bad' : '' }, name),
      el('span', {}, summary)));
  node.addEventListener('toggle', () => {
    node.append(el('pre', { tabIndex: 0 }, el('code', {}, JSON.stringify(data, null, 2) ?? 'no payload')));
  }, { once: true });
  return node;
}

export function start(lookup) {
  nameOf = lookup;
  $('journal-clear').onclick = () => {
    waiting = [];
    $('journal').replaceChildren();
    draw();
  };
}
