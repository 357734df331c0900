// Who is signed in: the panel to sign in or register, and the bar that says so.

import { getToken, onRefused, request, setToken } from './api.js';
import { $, bodyOf, onSubmit, setText, show } from './dom.js';

const roles = { DONOR: 'Donor', NGO: 'NGO', VOLUNTEER: 'Volunteer', ADMIN: 'Admin' };
const hints = {
  DONOR: 'Post what you have; you see who claims it at once.',
  NGO: 'Claim what you can use. Pick it up yourself, or let a volunteer.',
  VOLUNTEER: 'Claimed donations wait for somebody who carries them.',
  ADMIN: 'You can verify NGOs, and step in on any donation.',
};

let user = null;
let changed = () => {};

function become(next) {
  user = next;
  show($('account'), !user);
  show($('bar'), Boolean(user));
  if (user) {
    const waits = user.role === 'NGO' && !user.isVerified;
    setText($('bar-name'), user.name || user.email);
    setText($('bar-role'), roles[user.role] ?? user.role);
    setText($('bar-verified'), waits ? 'Waiting for verification' : 'Verified');
    $('bar-verified').dataset.kind = waits ? 'wait' : 'good';
    show($('bar-verified'), waits || user.isVerified);
    setText($('bar-hint'), waits ? 'An admin has to verify you before you can claim.' : hints[user.role] ?? '');
  }
  changed(user);
}

export function tell(message) {
  setText($('notice'), message);
  show($('notice'), Boolean(message));
}

export function signOut(message = '') {
  setToken('');
  tell(message);
  if (user || $('account').hidden) become(null);
}

async function enter(path, body) {
  const { data } = await request('POST', path, body);
  tell('');
  setToken(data.token);
  $('sign-in').reset();
  $('register').reset();
  become(data.user);
  $('board').focus({ preventScroll: true });
}

// reload asks the server who this is: after a page load, or when something about the account
// may have changed, such as an NGO's verification.
export async function reload() {
  const asked = getToken();
  try {
    const profile = await request('GET', '/auth/profile');
    if (asked !== getToken()) return;
    const next = profile.data ?? profile;
    if (!user || ['id', 'role', 'name', 'isVerified'].some((k) => user[k] !== next[k])) become(next);
  } catch (err) {
    if (err.status === 401 || asked !== getToken() || user) return; // 401 has signed out already
    if (err.status === 403 || err.status === 404) {
      signOut(err.message);
      return;
    }
    tell(`${err.message}\nTrying again in a few seconds.`);
    setTimeout(() => getToken() && reload().then(() => user && tell('')), 4000);
  }
}

export const waitsForVerification = () => user?.role === 'NGO' && !user.isVerified;

function choose(registering) {
  show($('sign-in'), !registering);
  show($('register'), registering);
  $('show-sign-in').setAttribute('aria-pressed', String(!registering));
  $('show-register').setAttribute('aria-pressed', String(registering));
}

// start calls handler with the user, or null, now and whenever that changes.
export function start(handler) {
  changed = handler;
  onRefused((err) => signOut(`You have been signed out: ${err.message}`));
  $('sign-out').onclick = () => signOut();
  $('show-sign-in').onclick = () => choose(false);
  $('show-register').onclick = () => choose(true);
  $('register').onchange = ({ currentTarget: form }) => {
    show($('organization'), form.elements.role.value !== 'VOLUNTEER');
    show($('certificate'), form.elements.role.value === 'NGO');
  };
  onSubmit($('sign-in'), (fields) => enter('/auth/login', Object.fromEntries(fields)));
  onSubmit($('register'), (fields) => {
    if (fields.get('role') === 'VOLUNTEER') fields.delete('organizationName');
    if (fields.get('role') !== 'NGO') fields.delete('certificate');
    return enter('/auth/register', bodyOf(fields, 'certificate'));
  });
  // Another tab signed in or out: this one starts over with the same token.
  addEventListener('storage', (event) => {
    if (event.key === 'token' && (event.newValue ?? '') !== getToken()) location.reload();
  });
  if (getToken()) reload();
  else become(null);
}
