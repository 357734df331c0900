// Whether a volunteer is free for a trip, and where: claims propose their trips by that.

import { request } from './api.js';
import { $, position, show, toast } from './dom.js';

let active = false;

export async function setUser(user) {
  active = user?.role === 'VOLUNTEER';
  show($('available'), active);
  if (!active) return;
  try {
    const profile = await request('GET', '/auth/profile');
    $('available-box').checked = (profile.data ?? profile).isAvailable;
  } catch {
    // Whoever is refused is signed out elsewhere; ticking it works all the same.
  }
}

async function change(box) {
  const change = { isAvailable: box.checked };
  let unknown = '';
  if (box.checked) {
    try {
      Object.assign(change, await position());
    } catch (err) {
      unknown = err.message;
    }
  }
  const answer = await request('PATCH', '/auth/profile', change);
  const profile = answer.data ?? answer;
  box.checked = profile.isAvailable;
  if (!profile.isAvailable) toast('No trips are proposed to you now.');
  else if (profile.latitude === null) toast(`You are free, but Larder does not know where: nothing can be proposed.\n${unknown}.`);
  else toast(unknown ? `Trips are proposed to you by where you were last.\n${unknown}.` : 'Trips near you may be proposed to you now.');
}

export function start() {
  const box = $('available-box');
  box.onchange = async () => {
    box.disabled = true;
    try {
      await change(box);
    } catch (err) {
      box.checked = !box.checked;
      toast(err.message);
    } finally {
      box.disabled = false;
    }
  };
}
