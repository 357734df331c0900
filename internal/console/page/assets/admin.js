// The admin's list of NGOs that wait for verification.

import { request } from './api.js';
import { $, dateTime, el, setText, show, toast, webURL } from './dom.js';

let active = false;

export function setUser(user) {
  active = user?.role === 'ADMIN';
  show($('approvals'), active);
  $('approvals-list').replaceChildren();
  if (active) load();
}

export async function load() {
  if (!active) return;
  try {
    const answer = await request('GET', '/admin/pending-ngos');
    const list = answer.data ?? answer;
    setText($('approvals-note'), list.length ? '' : 'Nobody is waiting.');
    $('approvals-list').replaceChildren(...list.map(row));
  } catch (err) {
    setText($('approvals-note'), err.message);
  }
}

function certificate(ngo) {
  const href = ngo.certificateUrl && webURL(ngo.certificateUrl);
  return href ? [el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, 'Certificate')] : [];
}

function row(ngo) {
  const name = ngo.organizationName || ngo.name || ngo.email;
  const button = el('button', { type: 'button', 'aria-label': `Verify ${name}` }, 'Verify');
  const node = el('li', {},
    el('div', {}, name, el('small', {}, `${ngo.email}, since ${dateTime(new Date(ngo.createdAt))}`), ...certificate(ngo)), button);
  button.onclick = async () => {
    button.disabled = true;
    try {
      await request('PATCH', `/admin/verify/${encodeURIComponent(ngo.id)}`);
      node.remove();
      toast(`${name} is verified.`);
      load();
    } catch (err) {
      button.disabled = false;
      setText($('approvals-note'), err.message);
    }
  };
  return node;
}

export function start() {
  $('approvals-refresh').onclick = load;
}
