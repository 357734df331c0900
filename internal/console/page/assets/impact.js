// What the whole board came to, in one line.

import { request } from './api.js';
import { $, setText, show } from './dom.js';

const PAUSE = 5000; // between two looks, however much is delivered
let planned = false;

const number = (n) => new Intl.NumberFormat([], { maximumFractionDigits: n < 10 ? 1 : 0 }).format(n);

export async function load() {
  try {
    const { data } = await request('GET', '/donations/stats/community');
    const { deliveredDonations: delivered, kgRescued: kg, mealsProvided: meals } = data;
    setText($('impact'), `So far: ${number(delivered)} ${delivered === 1 ? 'donation' : 'donations'} delivered, ${number(kg)} kg of food, about ${number(meals)} meals.`);
    show($('impact'), delivered > 0);
  } catch {
    // The board says when the server does not answer; this line stays as it was.
  }
}

// apply takes one live event.
export function apply(name, data) {
  if (name !== 'donation.status.updated' || data?.status !== 'DELIVERED' || planned) return;
  planned = true;
  setTimeout(() => {
    planned = false;
    load();
  }, PAUSE);
}
