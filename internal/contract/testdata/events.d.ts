// The live events of Larder for TypeScript, made by the server that serves them.
//
//   import { io, type Socket } from 'socket.io-client';
//   import type { ServerToClientEvents, ClientToServerEvents } from './larder-events';
//
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> =
//     io('http://localhost:3000/donations', { auth: { token } });
//   socket.on('donation.created', (donation) => console.log(donation.name));
//
// The same events come on the namespaces /donations and /. Times are texts, RFC 3339 in UTC.
// A field with ? can be absent, one with | null is there and can be null.
// What each event promises: docs/protocol.md, by the clauses named here.

/**
 * AuthExpiring tells a client that its token runs out, and answers AuthRefresh: it is closed a
 * while after ExpiresAt unless it shows a fresh token.
 */
export interface AuthExpiring {
  expiresAt: string;
}

/** AuthRefresh shows a fresh token of the same account. */
export interface AuthRefresh {
  token: string;
}

/** Cause repeats the message that failed. */
export interface Cause {
  pattern: string;
  data: unknown;
}

/**
 * Code is the stable name of a refusal, in snake case. Programs match on it; the message beside it
 * is for people and may change.
 */
export type Code =
  | 'bad_request'
  | 'validation_failed'
  | 'invalid_transition'
  | 'donation_not_available'
  | 'donation_expired'
  | 'over_capacity'
  | 'unit_mismatch'
  | 'donation_not_delivered'
  | 'feedback_exists'
  | 'flag_exists'
  | 'token_missing'
  | 'token_invalid'
  | 'token_expired'
  | 'bad_credentials'
  | 'account_suspended'
  | 'wrong_role'
  | 'ngo_not_verified'
  | 'not_yours'
  | 'origin_not_allowed'
  | 'link_invalid'
  | 'not_from_here'
  | 'not_found'
  | 'donation_not_found'
  | 'user_not_found'
  | 'ticket_not_found'
  | 'flag_not_found'
  | 'notification_not_found'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'request_timeout'
  | 'email_taken'
  | 'idempotency_key_reused'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'internal_error'
  | 'unavailable'
  | 'draining';

/**
 * ConnectErrorData is the data of a connect_error: Retry says whether the same client may try again
 * without changing anything.
 */
export interface ConnectErrorData {
  code: Code;
  retry: boolean;
  retryAfterMs?: number;
}

/** Donation is a donation as every client sees it. */
export interface Donation {
  id: string;
  name: string;
  description: string | null;
  foodType: string;
  quantity: number;
  unit: string;
  hygiene: unknown;
  preparationTime: string;
  expiryTime: string;
  latitude: number;
  longitude: number;
  address: string | null;
  location: Location;
  specialInstructions: string | null;
  imageUrls: string[];
  status: 'AVAILABLE' | 'CLAIMED' | 'PICKED_UP' | 'DELIVERED' | 'EXPIRED' | 'CANCELLED';
  donorId: string;
  donorName: string;
  /** The mean rating of the donor, one decimal; null when nobody has rated him. */
  donorTrustScore: number | null;
  claimedById: string | null;
  claimedAt: string | null;
  estimatedPickupTime: string | null;
  assignedVolunteerId: string | null;
  volunteerId: string | null;
  pickedUpAt: string | null;
  pickedUpBy: string | null;
  deliveredAt: string | null;
  deliveredBy: string | null;
  cancelReason: string | null;
  version: number;
  createdAt: string;
  updatedAt: string;
  /**
   * Distance is in kilometres by great circle, present only in a list that was asked for near a
   * place.
   */
  distance?: number;
}

/** DonationClaimed says that an NGO has taken a donation. */
export interface DonationClaimed {
  donationId: string;
  claimedBy: string;
  status: 'CLAIMED';
  claimedAt: string;
  version: number;
  position?: string;
}

/** DonationCreated says that food is on offer. Everybody signed in gets it. */
export interface DonationCreated {
  id: string;
  name: string;
  foodType: string;
  /** A decimal text here, as clients of the guide expect */
  quantity: string;
  unit: string;
  description: string | null;
  location: Location;
  donorName: string;
  expiryTime: string;
  imageUrls: string[];
  createdAt: string;
  donorId: string;
  latitude: number;
  longitude: number;
  status: 'AVAILABLE';
  version: number;
  position?: string;
}

/**
 * DonationNearExpiry says that an open donation expires soon. It has no version: nothing of the
 * donation has changed.
 */
export interface DonationNearExpiry {
  donationId: string;
  expiryTime: string;
  position?: string;
}

/**
 * DonationStatusUpdated says that a donation was picked up, delivered, released, cancelled or has
 * expired.
 */
export interface DonationStatusUpdated {
  donationId: string;
  status: 'AVAILABLE' | 'PICKED_UP' | 'DELIVERED' | 'EXPIRED' | 'CANCELLED';
  previousStatus: 'AVAILABLE' | 'CLAIMED' | 'PICKED_UP';
  /** An account's id, or "system" for the clock */
  updatedBy: string;
  updatedAt: string;
  reason: string | null;
  version: number;
  position?: string;
}

/** Exception tells a client that its message failed. */
export interface Exception {
  status: 'error';
  message: string;
  code: Code;
  cause: Cause;
  /** With rate_limited */
  retryAfterMs?: number;
}

/** FeedArea is a circle on the earth. All three are required. */
export interface FeedArea {
  /** Degrees */
  lat: number;
  lng: number;
  radiusKm: number;
}

/**
 * FeedEntered says that a donation has come into the view of a narrowed feed that was not in it
 * before, by the event that Event names.
 */
export interface FeedEntered {
  /** A Donation, as it was then */
  donation: Donation;
  event: string;
  version: number;
  position: string;
}

/**
 * FeedLeft says that a donation has left the view of a narrowed feed, by the event that Event
 * names.
 */
export interface FeedLeft {
  donationId: string;
  status: 'AVAILABLE' | 'CLAIMED' | 'PICKED_UP' | 'DELIVERED' | 'EXPIRED' | 'CANCELLED';
  previousStatus: 'AVAILABLE' | 'CLAIMED' | 'PICKED_UP' | 'DELIVERED' | 'EXPIRED' | 'CANCELLED';
  event: string;
  version: number;
  position: string;
}

/**
 * FeedPosition follows FeedSubscribed, for clients that keep the last position that an event has
 * told them, and comes now and then while their views are quiet.
 */
export interface FeedPosition {
  position: string;
}

/**
 * FeedReady is the first event of a socket: from Position on it hears everything that it may see.
 * Recovered says that it has come back, and that what it missed after Position follows; Reason says
 * why it has not, if it wanted to.
 */
export interface FeedReady {
  position: string;
  recovered: boolean;
  reason?: string;
  user: FeedUser;
}

/** FeedResume asks for what happened after a position. */
export interface FeedResume {
  after: string;
}

/**
 * FeedResumed answers FeedResume and GET /events. When Recovered is false nothing is in Events: the
 * client takes a snapshot with GET /donations and goes on from Position. When More is true it asks
 * again after Position.
 */
export interface FeedResumed {
  position: string;
  recovered: boolean;
  more: boolean;
  /** Why nothing was recovered: position, epoch, ahead, window. */
  reason?: string;
  events: LoggedEvent[];
}

/**
 * FeedSubscribe narrows the donation events of a client. What is absent or empty narrows nothing;
 * all absent is the whole feed again.
 */
export interface FeedSubscribe {
  area?: FeedArea;
  statuses?: ('AVAILABLE' | 'CLAIMED' | 'PICKED_UP' | 'DELIVERED' | 'EXPIRED' | 'CANCELLED')[];
  /** Compared without case */
  foodTypes?: string[];
}

/**
 * FeedSubscribed answers FeedSubscribe: the donations in view at Position, newest first. Without
 * statuses these are the ones that are still open. What happens after Position follows as events.
 * More says that there are older ones, which GET /donations lists.
 */
export interface FeedSubscribed {
  position: string;
  items: Donation[];
  more: boolean;
}

/** FeedUser is who the server takes the socket for. */
export interface FeedUser {
  id: string;
  role: 'DONOR' | 'NGO' | 'VOLUNTEER' | 'ADMIN';
}

/** Location is a place with its address. */
export interface Location {
  lat: number;
  lng: number;
  address: string;
}

/**
 * LoggedEvent is a committed event as GET /events, the history of a donation and FeedResumed list
 * it.
 */
export interface LoggedEvent {
  position: string;
  event: string;
  at: string;
  data: unknown;
}

/**
 * Notification is something that an account is told and can read again. As an event it is what is
 * stored, and nobody has read it.
 */
export interface Notification {
  id: string;
  /** UserID is the reader. In the event of one that all accounts of some roles get it is null. */
  userId: string | null;
  title: string;
  message: string;
  /**
   * new_food_nearby, food_claimed, pickup_assigned, food_picked_up, delivery_confirmed,
   * near_expiry, claim_released, donation_cancelled, donation_expired, badge_earned,
   * account_verified, ticket_answered; there may be others.
   */
  type: string;
  read: boolean;
  createdAt: string;
  donationId: string | null;
  position?: string;
}

/** Pong answers the test event. */
export interface Pong {
  message: string;
  timestamp: string;
}

/** ServerDraining tells a client that the server goes away and when to return. */
export interface ServerDraining {
  reconnectInMs: number;
}

/**
 * ShareLocation tells where the carrier of a donation is. VolunteerID is the caller's or absent.
 */
export interface ShareLocation {
  donationId: string;
  volunteerId?: string;
  /** Degrees */
  lat: number;
  lng: number;
}

/**
 * Shared answers ShareLocation. Locations that come faster than one a second are acknowledged and
 * not passed on.
 */
export interface Shared {
  ok: boolean;
}

/**
 * VolunteerAssigned says that a trip was proposed to a volunteer, who need not take it. He, the
 * claimer and the donor get it.
 */
export interface VolunteerAssigned {
  volunteerId: string;
  donationId: string;
  donationName: string;
  /** Its latitude and longitude where the donor gave no address */
  donorAddress: string;
  ngoName: string;
  /** Of this proposal */
  id: string;
  createdAt: string;
  position?: string;
}

/**
 * VolunteerLocation says where the carrier of a donation is now. It is no committed event: it comes
 * at most once, and has no position in the log.
 */
export interface VolunteerLocation {
  volunteerId: string;
  donationId: string;
  /** Degrees */
  lat: number;
  lng: number;
  timestamp: string;
}

/**
 * What a server sends. offset is there for connection state recovery, by which the client does its
 * own work.
 */
export interface ServerToClientEvents {
  /**
   * The first event of a connection. What is committed after position follows, none left out. Goes
   * to this connection alone. (P-5)
   */
  'feed.ready': (payload: FeedReady, offset?: string) => void;
  /**
   * Food is on offer. Goes to everybody signed in, unless their feed is narrowed to other
   * donations. (P-10)
   */
  'donation.created': (payload: Committed<DonationCreated>, offset?: string) => void;
  /**
   * An NGO has taken a donation. Goes to everybody signed in, unless their feed is narrowed to
   * other donations. (P-11)
   */
  'donation.claimed': (payload: Committed<DonationClaimed>, offset?: string) => void;
  /**
   * A donation was picked up, delivered, released or cancelled, or it has expired. Goes to
   * everybody signed in, unless their feed is narrowed to other donations. (P-12)
   */
  'donation.status.updated': (payload: Committed<DonationStatusUpdated>, offset?: string) => void;
  /**
   * An open donation expires within the hour. It comes once in the life of a donation. Goes to
   * everybody signed in, unless their feed is narrowed to other donations. (P-13)
   */
  'donation.near_expiry': (payload: Committed<DonationNearExpiry>, offset?: string) => void;
  /**
   * A trip was proposed to a volunteer. Goes to the volunteer, the claimer and the donor. (P-14)
   */
  'volunteer.assigned': (payload: Committed<VolunteerAssigned>, offset?: string) => void;
  /**
   * Something that an account is told, as it is stored. Goes to its owner, or everybody of its
   * roles. (P-15)
   */
  notification: (payload: Committed<Notification>, offset?: string) => void;
  /**
   * Where the carrier of a donation is now. It comes at most once, and no replay has it. Goes to
   * the claimer, the donor and the carrier. (P-16)
   */
  [event: `volunteer.location.${string}`]: (payload: VolunteerLocation) => void;
  /** A donation has come into view. Goes to connections with a narrowed feed. (P-26) */
  'feed.entered': (payload: Committed<FeedEntered>, offset?: string) => void;
  /**
   * A donation has left the view. It comes in place of the event that took it out. Goes to
   * connections with a narrowed feed. (P-26)
   */
  'feed.left': (payload: Committed<FeedLeft>, offset?: string) => void;
  /**
   * Follows the snapshot of feed.subscribe, and comes on Socket.IO every 4,096 records, for clients
   * that keep the last position they heard. Goes to this connection alone. (P-23)
   */
  'feed.position': (payload: FeedPosition, offset?: string) => void;
  /**
   * The token runs out in a minute: show a fresh one with auth.refresh, or be closed 25 s after
   * expiresAt. Goes to this connection alone. (P-18)
   */
  'auth.expiring': (payload: AuthExpiring) => void;
  /**
   * The server goes away: come back in so many milliseconds. Goes to every connection, with a time
   * of its own. (P-17)
   */
  'server.draining': (payload: ServerDraining) => void;
  /**
   * A message that this connection sent has failed. The connection stays. Goes to this connection
   * alone. (P-21)
   */
  exception: (payload: Exception) => void;
  /** Answers test. Goes to this connection alone. (P-20) */
  'test-response': (payload: Pong) => void;
}

/**
 * What a client may send. A message that fails is answered by an Exception, which comes as event
 * `exception`, too.
 */
export interface ClientToServerEvents {
  /**
   * Asks whether the server hears: test-response comes, and the ack. For anybody signed in. (P-20)
   */
  test: (ack: (answer: Pong | Exception) => void) => void;
  /**
   * Narrows the donation events of this connection, with a snapshot that meets the stream exactly.
   * For anybody signed in. (P-23)
   */
  'feed.subscribe': (payload: FeedSubscribe, ack: (answer: FeedSubscribed | Exception) => void) => void;
  /**
   * Asks what happened after a position, for clients without connection state recovery. For anybody
   * signed in. (P-22)
   */
  'feed.resume': (payload: FeedResume, ack: (answer: FeedResumed | Exception) => void) => void;
  /**
   * Tells where the carrier is. Of one trip one location a second is passed on. For the carrier of
   * a donation on its way. (P-25)
   */
  'volunteer.shareLocation': (payload: ShareLocation, ack: (answer: Shared | Exception) => void) => void;
  /**
   * Shows a fresh token of the same account; the connection stays. For anybody signed in. (P-24)
   */
  'auth.refresh': (payload: AuthRefresh, ack: (answer: AuthExpiring | Exception) => void) => void;
}

/** A committed event as it comes live: it tells its place in the log. */
export type Committed<T> = T & { position: string };

/** What an application puts into `auth` when it connects. */
export interface Handshake {
  token: string;
}

/** What `connect_error` is called with when the server refused: `(error as ConnectError).data?.code`. */
export interface ConnectError extends Error {
  data?: ConnectErrorData;
}
