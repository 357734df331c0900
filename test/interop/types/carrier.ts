// The same for what carriers send and their parties hear: an event with a donation's id in its name.

import { socket } from './client.js';

declare const donationId: string;
const here = (at: { donationId: string; lat: number; lng: number; timestamp: string }) => [at.donationId, at.lat, at.lng, at.timestamp];
socket.on(`volunteer.location.${donationId}`, (at) => here(at));
socket.off(`volunteer.location.${donationId}`);
// @ts-expect-error a place is two numbers
socket.on(`volunteer.location.${donationId}`, (at) => at.lat.length);
socket.emit('volunteer.shareLocation', { donationId, lat: 52.52, lng: 13.4 }, (answer) => 'ok' in answer && answer.ok);
// @ts-expect-error a place is two numbers
socket.emit('volunteer.shareLocation', { donationId, lat: 52.52 }, () => {});
