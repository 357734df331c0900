// The exact form of what a server says. Every check compares whole values, so that a field too
// many, too few or of another type fails.

import assert from 'node:assert/strict';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export function isTime(value, what = 'a time') {
  assert.equal(typeof value, 'string', what);
  assert.match(value, TIME, what);
  assert.equal(new Date(value).toISOString(), value, what);
  return value;
}

export function isID(value) {
  assert.match(value, UUID);
  return value;
}

export function isPosition(value) {
  assert.equal(typeof value, 'string');
  assert.match(value, /^[a-z2-7]{12}-\d{12,}[a-w]$/);
  return value;
}

// placeIn writes a position as the server does. P-7
export function placeIn(epoch, seq) {
  const text = `${epoch}-${String(seq).padStart(12, '0')}`;
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum += ((i % 22) + 1) * text.charCodeAt(i);
  return text + String.fromCharCode(97 + (sum % 23));
}

// newDonation is the REST form of a donation that a draft has just made. Only ids and times that the
// server gives are taken from the answer.
export function newDonation(draft, donor, donorName, answer) {
  return {
    id: isID(answer.id),
    name: draft.name,
    description: draft.description ?? null,
    foodType: draft.foodType,
    quantity: Number(draft.quantity),
    unit: draft.unit,
    hygiene: draft.hygiene ?? null,
    preparationTime: draft.preparationTime ?? isTime(answer.preparationTime),
    expiryTime: draft.expiryTime,
    latitude: draft.latitude,
    longitude: draft.longitude,
    address: draft.address ?? null,
    location: { lat: draft.latitude, lng: draft.longitude, address: draft.address ?? '' },
    specialInstructions: draft.specialInstructions ?? null,
    imageUrls: draft.imageUrls ?? [],
    status: 'AVAILABLE',
    donorId: donor.id,
    donorName,
    donorTrustScore: null,
    claimedById: null,
    claimedAt: null,
    estimatedPickupTime: null,
    assignedVolunteerId: null,
    volunteerId: null,
    pickedUpAt: null,
    pickedUpBy: null,
    deliveredAt: null,
    deliveredBy: null,
    cancelReason: null,
    version: 1,
    createdAt: isTime(answer.createdAt),
    updatedAt: answer.createdAt,
  };
}

// changed is the REST form after one more change. fields may name as true what has to be the
// moment of the change.
export function changed(before, answer, fields) {
  isTime(answer.updatedAt);
  assert.ok(answer.updatedAt >= before.updatedAt, 'time runs forward');
  const after = { ...before, version: before.version + 1, updatedAt: answer.updatedAt };
  for (const [name, value] of Object.entries(fields)) {
    after[name] = value === true ? answer.updatedAt : value;
  }
  return after;
}

// The events, as the REST form of the donation at that moment says they have to be. position is
// the one thing that is taken as it came.
export function createdEvent(d, position) {
  return {
    name: 'donation.created',
    data: {
      id: d.id, name: d.name, foodType: d.foodType, quantity: String(d.quantity), unit: d.unit,
      description: d.description, location: d.location, donorName: d.donorName, expiryTime: d.expiryTime,
      imageUrls: d.imageUrls, createdAt: d.createdAt, donorId: d.donorId, latitude: d.latitude,
      longitude: d.longitude, status: 'AVAILABLE', version: 1, position: isPosition(position),
    },
  };
}

export function claimedEvent(d, position) {
  return {
    name: 'donation.claimed',
    data: {
      donationId: d.id, claimedBy: d.claimedById, status: 'CLAIMED', claimedAt: d.claimedAt,
      version: d.version, position: isPosition(position),
    },
  };
}

export function statusEvent(d, previousStatus, updatedBy, reason, position) {
  return {
    name: 'donation.status.updated',
    data: {
      donationId: d.id, status: d.status, previousStatus, updatedBy, updatedAt: d.updatedAt, reason,
      version: d.version, position: isPosition(position),
    },
  };
}

// eventTime is when a payload says that it happened.
export const eventTime = (data) => data.createdAt ?? data.claimedAt ?? data.updatedAt;

// fromLog says whether an event of this name comes from the log: of donations, or the account's own.
export const fromLog = (name) => name?.startsWith('donation.') || name === 'volunteer.assigned' || name === 'notification';

// logged is an event as GET /events and a history list it.
export const logged = ({ name, data }) => ({ position: data.position, event: name, at: eventTime(data), data });

// sameList compares element by element: the report of a difference in a long list is then short.
export function sameList(got, want, what) {
  const outline = (list) => list.map((e) => `${e.name ?? e.event} ${e.data.position}`);
  assert.deepEqual(outline(got), outline(want), what);
  got.forEach((e, i) => assert.deepEqual(e, want[i], `${what}, number ${i + 1}`));
}
