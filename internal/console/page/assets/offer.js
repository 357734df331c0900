// The form that posts a donation.

import { now, request } from './api.js';
import { $, bodyOf, el, onSubmit, position, setText, show, toast } from './dom.js';

const REMEMBERED = 'larder.place';
const centre = { latitude: 52.52, longitude: 13.405, address: '' }; // Berlin, until told better

let touched = false; // the person has typed something that must not be overwritten

export function setUser(user) {
  const may = user?.role === 'DONOR' || user?.role === 'ADMIN';
  if (may && $('offer').hidden) {
    $('offer').open = user.role === 'DONOR' && matchMedia('(min-width: 62rem)').matches;
    fillIn();
  }
  show($('offer'), may);
}

// local writes a moment the way a datetime-local field wants it.
function local(ms) {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60000);
  return date.toISOString().slice(0, 16);
}

function fillIn() {
  touched = false;
  const { elements } = $('offer-form');
  elements.preparationTime.value = local(now() - 5 * 60000);
  elements.expiryTime.value = local(now() + 4 * 3600e3);
  let place = centre;
  try {
    place = JSON.parse(localStorage.getItem(REMEMBERED)) ?? centre;
  } catch {
    // No storage, or not ours: the centre will do.
  }
  for (const name of ['latitude', 'longitude', 'address']) elements[name].value = place[name] ?? '';
  setText($('place-hint'), place === centre ? 'Berlin centre for now' : 'as last time');
}

async function locate() {
  const hint = $('place-hint');
  setText(hint, 'Asking the browser…');
  try {
    const place = await position();
    const { elements } = $('offer-form');
    elements.latitude.value = place.latitude;
    elements.longitude.value = place.longitude;
    touched = true;
    setText(hint, 'Your position is filled in.');
  } catch (err) {
    setText(hint, `${err.message}. Type the coordinates instead.`);
  }
}

const MOST_PHOTOS = 5;
const MOST_PIXELS = 2048; // along the longer side: the server keeps no more

// smaller makes a photo small enough for a slow line. What can't be read here the server will judge.
async function smaller(photo) {
  try {
    const bitmap = await createImageBitmap(photo);
    const scale = Math.min(1, MOST_PIXELS / Math.max(bitmap.width, bitmap.height));
    const canvas = el('canvas', { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
    const pen = canvas.getContext('2d');
    pen.fillStyle = '#fff'; // a JPEG can't be seen through
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.9));
    return blob && blob.size < photo.size ? new File([blob], 'photo.jpg', { type: blob.type }) : photo;
  } catch {
    return photo;
  }
}

async function donationOf(fields) {
  for (const name of ['preparationTime', 'expiryTime']) {
    fields.set(name, new Date(fields.get(name)).toISOString());
  }
  const photos = fields.getAll('images').filter((file) => file.size > 0);
  if (photos.length > MOST_PHOTOS) throw new Error(`At most ${MOST_PHOTOS} photos, please.`);
  fields.delete('images');
  for (const photo of photos) fields.append('images', await smaller(photo));
  return bodyOf(fields, 'images', ['quantity', 'latitude', 'longitude']);
}

// start wires the form; posted is called with the donation as the server made it.
export function start(posted) {
  const form = $('offer-form');
  $('locate').onclick = locate;
  form.addEventListener('input', () => { touched = true; });
  // The times are counted from when the form is opened, not from when the page was.
  $('offer').addEventListener('toggle', () => $('offer').open && !touched && fillIn());
  onSubmit(form, async (fields) => {
    const place = { latitude: fields.get('latitude'), longitude: fields.get('longitude'), address: fields.get('address') };
    const donation = await request('POST', '/donations', await donationOf(fields));
    try {
      localStorage.setItem(REMEMBERED, JSON.stringify(place));
    } catch {
      // It is only a convenience.
    }
    posted(donation);
    toast(`${donation.name} is on the board.`);
    form.reset();
    fillIn();
    form.elements.name.focus();
  });
}
