// A client in strict TypeScript on the types that a server gives out. It is compiled, never run.
// What must not compile stands under a ts-expect-error: if it does compile, that is an error.

import { io, type Socket } from 'socket.io-client';
import type { ClientToServerEvents, Code, ConnectError, Donation, Exception, Handshake, ServerToClientEvents } from './larder-events.js';

const auth: Handshake = { token: 'x.y.z' };
export const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io('http://localhost:3000/donations', { auth });

// What is heard has its exact type.
socket.on('donation.created', (d, offset) => {
  const text: string[] = [d.id, d.name, d.quantity, d.location.address, d.createdAt, d.position, ...d.imageUrls];
  const numbers: number[] = [d.latitude, d.version];
  const nothing: string | null = d.description;
  const status: 'AVAILABLE' = d.status;
  const back: string | undefined = offset;
  // @ts-expect-error a quantity is a text here
  const wrong: number = d.quantity;
  // @ts-expect-error a description can be null
  d.description.length;
  // @ts-expect-error there is no such field
  d.passwordHash;
  return [text, numbers, nothing, status, back, wrong];
});
socket.on('donation.status.updated', ({ status, previousStatus, reason, updatedBy }) => {
  switch (status) {
    case 'AVAILABLE': case 'PICKED_UP': case 'DELIVERED': case 'EXPIRED': case 'CANCELLED':
      return `${previousStatus} ${reason ?? ''} ${updatedBy}`;
    default: {
      const all: never = status;
      return all;
    }
  }
});
socket.on('donation.near_expiry', ({ donationId, expiryTime }) => [donationId, new Date(expiryTime)]);
socket.on('feed.ready', ({ recovered, reason, user }) => {
  const role: 'DONOR' | 'NGO' | 'VOLUNTEER' | 'ADMIN' = user.role;
  const why: string | undefined = reason;
  // @ts-expect-error the reason can be absent
  reason.length;
  return [recovered, why, role];
});
socket.on('feed.entered', ({ donation }) => {
  const d: Donation = donation;
  const at: string | null = d.claimedAt;
  const far: number | undefined = d.distance;
  // @ts-expect-error a time can be null
  d.claimedAt.length;
  return [at, far];
});
socket.on('exception', ({ code, cause, retryAfterMs }) => {
  const known: Code = code;
  return [known === 'rate_limited' ? retryAfterMs : 0, cause.pattern];
});
socket.on('server.draining', ({ reconnectInMs }) => setTimeout(() => socket.connect(), reconnectInMs));
socket.on('connect_error', (error: ConnectError) => error.data?.code === 'token_expired' && error.data.retry);
// @ts-expect-error there is no such event
socket.on('donation.vanished', () => {});
// @ts-expect-error and this has another payload
socket.on('donation.claimed', (d: { donationId: number }) => d);

// What is said, with what is answered.
socket.emit('test', (answer) => 'message' in answer);
socket.emit('feed.resume', { after: 'a-position' }, (answer) => {
  if ('status' in answer) {
    const failed: Exception = answer;
    return failed.code;
  }
  return answer.recovered ? answer.events.map((e) => e.event) : answer.reason;
});
export async function narrow(): Promise<Donation[]> {
  const answer = await socket.timeout(1_000).emitWithAck('feed.subscribe', {
    area: { lat: 52.52, lng: 13.4, radiusKm: 5 }, statuses: ['AVAILABLE', 'CLAIMED'], foodTypes: ['bakery'],
  });
  if ('status' in answer) throw new Error(answer.message);
  return answer.items;
}
export const whole = () => socket.emitWithAck('feed.subscribe', {});
socket.emit('auth.refresh', { token: 'x.y.z' }, (answer) => 'expiresAt' in answer && answer.expiresAt);
// @ts-expect-error all three are needed
socket.emit('feed.subscribe', { area: { lat: 1, lng: 2 } }, () => {});
// @ts-expect-error there is no such status
socket.emit('feed.subscribe', { statuses: ['EATEN'] }, () => {});
// @ts-expect-error there is no such field
socket.emit('feed.resume', { before: 'a-position' }, () => {});
// @ts-expect-error this is the server's to say
socket.emit('donation.created', {}, () => {});
// @ts-expect-error the plain WebSocket's alone
socket.emit('auth', { token: 'x.y.z' }, () => {});
