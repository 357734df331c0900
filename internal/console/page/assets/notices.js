// What the person was told: the stored notifications, newest first, and those that come live.

import { request } from './api.js';
import { $, dateTime, el, setText, show } from './dom.js';

const MOST = 50;
const list = new Map(); // by id
let active = false;

export function setUser(user) {
  if (!user) list.clear();
  active = Boolean(user);
  show($('notices'), active);
  if (active) load();
}

// load reads the list, for what may have been missed.
export async function load() {
  if (!active) return;
  const before = new Set(list.keys());
  try {
    const stored = await request('GET', '/notifications');
    const came = [...list.values()].filter((n) => !before.has(n.id)); // while the list was read
    list.clear();
    for (const n of [...came, ...stored].slice(0, MOST)) list.set(n.id, n);
    draw();
  } catch (err) {
    setText($('notices-note'), err.message);
  }
}

// add takes a live notification. It may come twice, or be in the list already.
export function add(notification) {
  if (!active || !notification?.id || list.has(notification.id)) return;
  const rest = [...list].slice(0, MOST - 1);
  list.clear();
  for (const [id, n] of [[notification.id, notification], ...rest]) list.set(id, n);
  draw();
}

async function read(path, done) {
  try {
    await request('PATCH', path);
    done();
    draw();
  } catch (err) {
    setText($('notices-note'), err.message);
  }
}

function draw() {
  const unread = [...list.values()].filter((n) => !n.read).length;
  setText($('notices-unread'), `${unread} new`);
  show($('notices-unread'), unread > 0);
  show($('notices-read'), unread > 0);
  setText($('notices-note'), list.size ? '' : 'Nothing yet.');
  $('notices-list').replaceChildren(...[...list.values()].map(row));
}

function row(n) {
  const node = el('li', { className: n.read ? '' : 'new' },
    el('div', {}, el('b', {}, n.title), el('p', {}, n.message), el('small', {}, dateTime(new Date(n.createdAt)))));
  if (!n.read) {
    node.append(el('button', {
      type: 'button', className: 'quiet', 'aria-label': `Mark as read: ${n.title}`,
      onclick: () => read(`/notifications/${encodeURIComponent(n.id)}/read`, () => { n.read = true; }),
    }, 'Read'));
  }
  return node;
}

export function start() {
  $('notices-read').onclick = () => read('/notifications/read-all', () => {
    for (const n of list.values()) n.read = true;
  });
}
