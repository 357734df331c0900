// One donation on the board: what it looks like, and what the person may do with it.

import { dateTime, duration, el, setText, show, webURL } from './dom.js';

export const statuses = {
  AVAILABLE: 'Available',
  CLAIMED: 'Claimed',
  PICKED_UP: 'Picked up',
  DELIVERED: 'Delivered',
  EXPIRED: 'Expired',
  CANCELLED: 'Cancelled',
};

export const isOpen = (d) => d.status === 'AVAILABLE' || d.status === 'CLAIMED' || d.status === 'PICKED_UP';
export const isCarrier = (d, user) => [d.volunteerId, d.pickedUpBy].includes(user.id);

const acts = {
  claim: { label: 'Claim', look: 'primary' },
  pickUp: { label: 'Pick up', look: 'primary' },
  deliver: { label: 'Deliver', look: 'primary' },
  release: { label: 'Release', look: '' },
  cancel: { label: 'Cancel…', look: 'danger' },
};

// allowed mirrors the server's rules so that only sensible buttons appear. The server decides.
export function allowed(d, user, time) {
  if (!user || (isOpen(d) && Date.parse(d.expiryTime) <= time)) return [];
  const claimer = d.claimedById === user.id;
  const admin = user.role === 'ADMIN';
  const donor = d.donorId === user.id;
  switch (d.status) {
    case 'AVAILABLE':
      return [
        user.role === 'NGO' && user.isVerified && 'claim',
        (donor || admin) && 'cancel',
      ].filter(Boolean);
    case 'CLAIMED':
      return [
        (claimer || admin || user.role === 'VOLUNTEER') && 'pickUp',
        (claimer || admin) && 'release',
        (donor || admin) && 'cancel',
      ].filter(Boolean);
    case 'PICKED_UP':
      return claimer || admin || isCarrier(d, user) ? ['deliver'] : [];
    default:
      return [];
  }
}

// relation says in words what the donation is to this person.
function relation(d, user) {
  if (!user) return '';
  if (d.status === 'PICKED_UP' && isCarrier(d, user)) return 'You are carrying this';
  if (d.claimedById === user.id && isOpen(d)) return 'Claimed by you';
  if (d.status === 'CLAIMED' && d.assignedVolunteerId === user.id) return 'Proposed to you';
  if (d.donorId === user.id) return 'Your donation';
  return '';
}

// copies lets the browser choose among the sizes of a photo that Larder keeps.
function copies(src) {
  const [, name] = /^(.*\/media\/[0-9a-f]{64}-[a-z2-7]{8})\.jpg$/.exec(src) ?? [];
  return name ? { sizes: '(min-width: 40rem) 24rem, 100vw', srcset: `${name}-320.jpg 320w, ${name}-1280.jpg 1280w` } : {};
}

export class Card {
  // act is called with the card and the name of what to do.
  constructor(donation, act) {
    this.act = act;
    this.changedAt = 0;
    this.shown = ''; // the buttons that are on the card
    this.chip = el('span');
    this.title = el('h3', { id: `donation-${donation.id}` });
    this.amount = el('b');
    this.kind = el('span');
    this.about = el('p', { className: 'about' });
    this.donor = el('dd');
    this.place = el('dd');
    this.leftLabel = el('dt');
    this.left = el('dd', { className: 'left' });
    this.mine = el('p', { className: 'mine' });
    this.error = el('p', { className: 'error', role: 'alert', hidden: true });
    this.buttons = el('div', { className: 'acts' });
    this.node = el('article', { className: 'card', tabIndex: -1, 'aria-labelledby': this.title.id },
      el('div', { className: 'card-head' }, this.title,
        el('span', { className: 'chip' }, el('span', { className: 'dot', 'aria-hidden': 'true' }), this.chip)),
      el('p', { className: 'amount' }, this.amount, this.kind),
      this.about,
      el('dl', { className: 'meta' },
        el('dt', {}, 'From'), this.donor, el('dt', {}, 'At'), this.place, this.leftLabel, this.left),
      this.mine, this.error, this.buttons);
    this.donation = donation;
  }

  update(donation, user, time) {
    const d = donation;
    this.donation = d;
    this.user = user;
    this.node.dataset.status = d.status;
    setText(this.chip, statuses[d.status] ?? d.status);
    setText(this.title, d.name);
    setText(this.amount, `${Number(d.quantity)} ${d.unit}`);
    setText(this.kind, d.foodType);
    setText(this.about, d.description ?? '');
    setText(this.donor, d.donorName || 'A donor');
    this.showPlace(d);
    this.showPhoto(d.imageUrls?.[0]);
    const note = d.status === 'CANCELLED' && d.cancelReason ? `Reason: ${d.cancelReason}` : relation(d, user);
    setText(this.mine, note);
    this.tick(time);
  }

  // tick moves the countdown on, and takes buttons away when time is up.
  tick(time) {
    const d = this.donation;
    const end = Date.parse(d.expiryTime);
    const open = isOpen(d);
    setText(this.leftLabel, open ? 'Time left' : 'Good until');
    setText(this.left, !open ? dateTime(end) : end > time ? duration(end - time) : 'time is up');
    this.left.toggleAttribute('data-urgent', open && end - time < 3600e3);
    this.left.title = dateTime(end);
    this.showButtons(allowed(d, this.user, time));
  }

  showButtons(names) {
    if (names.join() === this.shown) return;
    this.shown = names.join();
    const focused = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(...names.map((name) => el('button', {
      type: 'button',
      className: acts[name].look,
      'aria-describedby': this.title.id,
      onclick: () => this.act(this, name),
    }, acts[name].label)));
    if (focused) this.node.focus({ preventScroll: true }); // the button is gone; stay on the card
  }

  showPlace(d) {
    const [lat, lng] = [Number(d.latitude), Number(d.longitude)];
    const text = d.address || `${lat.toFixed(4)}, ${lng.toFixed(4)}`;
    if (this.place.textContent === text) return;
    this.place.replaceChildren(el('a', {
      href: `https://www.openstreetmap.org/?mlat=${lat}&mlon=${lng}#map=16/${lat}/${lng}`,
      target: '_blank',
      rel: 'noopener noreferrer',
    }, text));
  }

  showPhoto(address) {
    const src = address ? webURL(address) : null;
    if ((this.photo?.src ?? null) === src) return;
    this.photo?.remove();
    this.photo = src && el('img', {
      className: 'photo', alt: '', loading: 'lazy', referrerPolicy: 'no-referrer', onerror: (e) => e.target.remove(), ...copies(src), src,
    });
    if (this.photo) this.node.prepend(this.photo);
  }

  // busy turns the buttons off while an answer is awaited. A button that is off loses the focus,
  // and may be gone afterwards; then the card takes it.
  busy(on) {
    if (on) this.hadFocus = this.buttons.contains(document.activeElement);
    for (const button of this.buttons.children) button.disabled = on;
    this.node.setAttribute('aria-busy', String(on));
    if (!on && this.hadFocus && document.activeElement === document.body) this.node.focus({ preventScroll: true });
  }

  fail(message) {
    setText(this.error, message);
    show(this.error, Boolean(message));
  }

  flash() {
    this.node.classList.remove('changed');
    void this.node.offsetWidth; // starts the animation anew
    this.node.classList.add('changed');
  }
}
