// The console: wires the account, the board, the feed and the journal together.

import * as account from './assets/account.js';
import * as admin from './assets/admin.js';
import { getToken } from './assets/api.js';
import * as availability from './assets/availability.js';
import * as board from './assets/board.js';
import { $, setText, toast } from './assets/dom.js';
import * as feed from './assets/feed.js';
import * as impact from './assets/impact.js';
import * as journal from './assets/journal.js';
import * as notices from './assets/notices.js';
import * as offer from './assets/offer.js';

let close = () => {};
let connectedAs = null;

function linkState(kind, text) {
  $('link').dataset.kind = kind;
  setText($('link-text'), text);
}

function onUser(user) {
  board.setUser(user);
  offer.setUser(user);
  admin.setUser(user);
  notices.setUser(user);
  availability.setUser(user);
  if (connectedAs === (user?.id ?? null) && connectedAs) return; // the same person, with new rights
  close();
  close = () => {};
  connectedAs = user?.id ?? null;
  if (!user) {
    linkState('off', 'Not live: signed out');
    board.load(); // what everybody may see
    return;
  }
  linkState('wait', 'Connecting…');
  close = feed.open(getToken, {
    state: linkState,
    stale: () => {
      board.load();
      notices.load();
    },
    refused: (message) => account.signOut(`You have been signed out: ${message}`),
    event: onEvent,
  });
}

function onEvent(name, data) {
  board.apply(name, data ?? {});
  impact.apply(name, data);
  journal.record(name, data);
  if (name === 'exception') toast([data?.message ?? 'The server refused a message.'].flat().join('\n'));
  if (name === 'notification') {
    notices.add(data);
    toast(`${data.title}\n${data.message}`);
    if (account.waitsForVerification()) account.reload();
    admin.load();
  }
}

function showSnippets() {
  const { origin } = location;
  setText($('snippet'), `const socket = io('${origin}/donations', {
  auth: {
    token: localStorage.getItem('token')
  }
});

socket.on('donation.created', (data) => {
  console.log('New donation:', data);
});

socket.on('donation.claimed', (data) => {
  console.log('Donation claimed:', data);
});`);
  setText($('curl'), `curl ${origin}/donations
curl -N -H "Authorization: Bearer $TOKEN" \\
  -H 'Accept: text/event-stream' ${origin}/events`);
}

showSnippets();
journal.start(board.nameOf);
offer.start(board.put);
admin.start();
notices.start();
availability.start();
impact.load();
board.start();
if (getToken()) board.load(); // at once, while the account is looked up and the feed connects
account.start(onUser);
// Somebody who comes back to the page may have been verified meanwhile.
addEventListener('focus', () => account.waitsForVerification() && account.reload());
