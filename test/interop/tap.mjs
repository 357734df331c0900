// What a live client hears, written down: the stock socket.io-client, and a plain WebSocket.

import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import WebSocket from 'ws';
import { until } from './harness.mjs';
import { fromLog } from './shapes.mjs';

export const NAMESPACES = ['/donations', '/'];

// MODES are the three ways in which the stock client can be told to travel, and the transports that
// a connection then goes through.
export const MODES = {
  'polling, then upgrade': { options: {}, path: ['polling', 'websocket'] },
  'websocket only': { options: { transports: ['websocket'] }, path: ['websocket'] },
  'polling only': { options: { transports: ['polling'] }, path: ['polling'] },
};

// Tap is one socket of the stock client with all that it heard, in order.
export class Tap {
  events = []; // { name, data, args }
  errors = []; // connect_error
  drops = []; // reasons of disconnect
  connects = 0;

  constructor(server, socket, label, path) {
    this.server = server;
    this.socket = socket;
    this.label = label;
    this.path = path; // the transports that the connection went through
    socket.onAny((name, ...args) => this.events.push({ name, data: args[0], args }));
    socket.on('connect', () => this.connects++);
    socket.on('connect_error', (err) => this.errors.push(err));
    socket.on('disconnect', (reason) => this.drops.push(reason));
  }

  named(name) {
    return this.events.filter((event) => event.name === name);
  }

  // feed is all that came from the log: of donations, and what is the account's own.
  feed() {
    return this.events.filter(({ name }) => fromLog(name));
  }

  // donations are those events of the feed that everybody hears.
  donations() {
    return this.events.filter(({ name }) => name.startsWith('donation.'));
  }

  about(donation) {
    return this.donations().filter(({ data }) => (data.id ?? data.donationId) === donation.id);
  }

  until(what, probe, ms) {
    return until(() => `${this.label}: ${what}; heard ${this}`.slice(0, 10_000), probe, { ms, server: this.server });
  }

  toString() {
    const errors = this.errors.map((err) => `${err.message} ${JSON.stringify(err.data)}`);
    return JSON.stringify({ events: this.events.map(({ name, data }) => [name, data]), errors, drops: this.drops, path: this.path });
  }

  // ready waits for the feed.ready of the count-th connection and returns it.
  async ready(count = 1, ms) {
    await this.until(`feed.ready number ${count}`, () => this.named('feed.ready').length >= count, ms);
    return this.named('feed.ready')[count - 1].data;
  }

  // refused waits for the connect_error of a namespace; those of a transport have no data.
  async refused(ms) {
    return this.until('a refusal', () => this.errors.find((err) => err.data !== undefined), ms);
  }

  // reached waits until the event at a position has come.
  reached(position, ms) {
    return this.until(`position ${position}`, () => this.feed().some((event) => event.data.position === position), ms);
  }

  ask(name, ...args) {
    assert.ok(!this.server.disposed, 'the test is over');
    return this.socket.timeout(5000).emitWithAck(name, ...args);
  }

  // ours is a namespace more on the same connection.
  ours(namespace, auth) {
    return new Tap(this.server, this.socket.io.socket(namespace, { auth }), `${this.label} ${namespace}`, this.path);
  }
}

// tap connects the stock client to a namespace of a server. The connection is its own.
export function tap(server, { namespace = '/donations', by, label = by?.role ?? 'nobody', ...options } = {}) {
  const socket = io(server.url + namespace, { forceNew: true, auth: by && { token: by.token }, ...options });
  const path = [];
  socket.io.on('open', () => {
    path.push(socket.io.engine.transport.name);
    socket.io.engine.on('upgrade', (transport) => path.push(transport.name));
  });
  server.clients.add({ close: () => socket.io.reconnection(false)._close() }); // the whole connection, and no way back
  return new Tap(server, socket, `${label} ${namespace}`, path);
}

// plain connects a plain WebSocket. Its frames are kept as { name, data }, answers as { id, data }.
export function plain(server, { path = '/donations', protocols = [], by, ...options } = {}) {
  const headers = by && { authorization: `Bearer ${by.token}` };
  const socket = new WebSocket(server.url.replace('http', 'ws') + path, protocols, { headers, ...options });
  server.clients.add({ close: () => socket.terminate() });
  return new PlainTap(server, socket);
}

export class PlainTap {
  frames = [];
  opened = false;
  refusal = null; // { status, body } of a handshake that was refused
  closed = null; // { code, reason }

  constructor(server, socket) {
    this.server = server;
    this.socket = socket;
    socket.on('open', () => (this.opened = true));
    socket.on('message', (data, binary) => {
      assert.equal(binary, false, 'frames are text');
      this.frames.push(JSON.parse(data.toString()));
    });
    socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    socket.on('unexpected-response', (req, res) => {
      let body = '';
      res.setEncoding('utf8').on('data', (text) => (body += text));
      res.on('end', () => (this.refusal = { status: res.statusCode, headers: res.headers, body }));
    });
    socket.on('error', () => {}); // told by closed or refusal
  }

  feed() {
    return this.frames.filter(({ event }) => fromLog(event));
  }

  donations() {
    return this.frames.filter(({ event }) => event?.startsWith('donation.'));
  }

  named(event) {
    return this.frames.filter((frame) => frame.event === event);
  }

  until(what, probe, ms) {
    const heard = () => JSON.stringify({ frames: this.frames, closed: this.closed });
    return until(() => `plain websocket: ${what}; heard ${heard()}`, probe, { ms, server: this.server });
  }

  async ready() {
    return (await this.until('feed.ready', () => this.named('feed.ready')[0])).data;
  }

  async end(ms) {
    return this.until('close', () => this.closed, ms);
  }

  reached(position, ms) {
    return this.until(`position ${position}`, () => this.feed().some((frame) => frame.data.position === position), ms);
  }

  async answer(id) {
    return this.until(`the answer to ${id}`, () => this.frames.find((frame) => frame.id === id));
  }

  send(frame) {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }
}
