// A real `larder serve` for a test, in a process of its own on a data folder of its own, and what a
// test says to it over HTTP.
//
// LARDER_BIN names a program to test; without it the checkout is built, once for all test files.
// LARDER_LOG=1 shows what the servers logged.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import fs from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = path.dirname(fileURLToPath(import.meta.url));

export const SECRET = 'interop: a secret of more than sixteen bytes';
export const FRONTEND = 'http://localhost:5173';
export const BAKERY = 'Bäckerei Krume'; // the organisation of the donor among the people
export const ADMIN = { email: 'admin@interop.example', password: 'interop-admin' };

// until waits for a condition: probe is asked again and again, and its first true value is returned.
// what says, at the timeout, what was waited for. With a server it gives up when that is gone for
// good: its test is over then, by its own timeout.
export async function until(what, probe, { ms = 10_000, server } = {}) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (server?.disposed || Date.now() > deadline) {
      assert.fail(`not within ${ms} ms: ${typeof what === 'function' ? what() : what}`);
    }
    await pause(5);
  }
}

// within gives a promise a time limit.
export async function within(what, promise, ms = 10_000) {
  const timer = new AbortController();
  const late = pause(ms, undefined, { signal: timer.signal }).then(
    () => assert.fail(`not within ${ms} ms: ${what}`),
    () => {},
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

let built;

function binary() {
  const given = process.env.LARDER_BIN;
  built ??= given ? Promise.resolve(path.resolve(given)) : build('larder', './cmd/larder');
  return built;
}

// build makes a program of ours below node_modules, which nobody commits. Test files run in processes
// of their own: a lock lets the first one build, and the others find nothing left to do.
export async function build(name, source) {
  const folder = path.join(here, 'node_modules', '.cache');
  const program = path.join(folder, process.platform === 'win32' ? `${name}.exe` : name);
  const lock = path.join(folder, `${name}.lock`);
  await fs.mkdir(folder, { recursive: true });
  await until('the lock of the build', () => takeLock(lock), { ms: 180_000 });
  try {
    const args = ['build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', program, source];
    await promisify(execFile)('go', args, { cwd: path.join(here, '..', '..'), env: { ...process.env, CGO_ENABLED: '0' } });
  } finally {
    await fs.rm(lock, { force: true });
  }
  return program;
}

async function takeLock(lock) {
  try {
    await fs.writeFile(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (err) {
    if (err.code !== 'EEXIST') throw err;
  }
  const holder = Number(await fs.readFile(lock, 'utf8').catch(() => ''));
  if (holder > 0 && !alive(holder)) await fs.rm(lock, { force: true });
  return false;
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (err) {
    return err.code === 'EPERM';
  }
}

const servers = new Set(); // not disposed of yet
process.on('exit', () => {
  for (const { child, data } of servers) {
    child?.kill('SIGKILL');
    rmSync(data, { recursive: true, force: true });
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

// Server is one Larder. It may be stopped, killed and started again: port and data stay.
export class Server {
  // start runs a server for the test t, which ends with it. env adds to its environment.
  static async start(t, env = {}) {
    const server = new Server();
    server.env = { SUPER_ADMIN_EMAIL: ADMIN.email, SUPER_ADMIN_PASSWORD: ADMIN.password, JWT_SECRET: SECRET, ...env };
    server.port = 0;
    server.log = '';
    server.clients = new Set(); // with a close method each
    server.data = await fs.mkdtemp(path.join(os.tmpdir(), 'larder-interop-'));
    servers.add(server);
    t.after(() => server.dispose());
    await server.launch();
    return server;
  }

  async launch() {
    const args = ['serve', '--host', '127.0.0.1', '--port', String(this.port), '--data-dir', this.data];
    const { PATH, SystemRoot, TMPDIR } = process.env;
    const child = spawn(await binary(), args, {
      cwd: this.data, // a .env of the checkout is none of ours
      env: { PATH, SystemRoot, TMPDIR, LOG_FORMAT: 'json', ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.child = undefined;
        resolve({ code, signal });
      });
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (this.log += text));
    let greeting = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (greeting += text));
    const url = await Promise.race([
      until(
        () => `a greeting with an address, got ${greeting}${this.log}`,
        () => /^\s*Board\s+(http:\S+)$/m.exec(greeting),
        { ms: 15_000 },
      ),
      this.exited.then((how) => assert.fail(`server ended with ${JSON.stringify(how)}: ${this.log}`)),
    ]);
    this.url = url[1];
    this.port = Number(new URL(this.url).port);
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  }

  // stop ends the process with a signal and returns how it ended and how long that took.
  async stop(signal = 'SIGTERM') {
    const began = Date.now();
    this.child.kill(signal);
    const how = await within(`the end of the server after ${signal}`, this.exited, 20_000);
    this.agent.destroy();
    return { ...how, ms: Date.now() - began };
  }

  async restart(signal = 'SIGTERM') {
    await this.stop(signal);
    await this.launch();
  }

  async dispose() {
    this.disposed = true;
    let how;
    try {
      for (const client of this.clients) client.close();
    } finally {
      if (this.child) how = await this.stop('SIGTERM').catch(() => this.stop('SIGKILL'));
    }
    if (process.env.LARDER_LOG) process.stderr.write(this.log);
    await fs.rm(this.data, { recursive: true, force: true });
    servers.delete(this);
    const faults = this.log.split('\n').filter((line) => /"level":"ERROR"|^panic:|DATA RACE/.test(line));
    assert.deepEqual(faults, [], 'the server logged errors');
    if (how) {
      assert.equal(how.code, 0, `the server ended with ${JSON.stringify(how)}: ${this.log}`);
      assert.ok(how.ms < 10_000, `the server took ${how.ms} ms to stop: ${this.log}`);
    }
  }

  // request sends one HTTP request as it is and returns status, headers and body.
  request(method, target, { headers = {}, body, agent = this.agent } = {}) {
    assert.ok(!this.disposed, 'the test is over');
    const url = new URL(target, this.url);
    return within(
      `the answer to ${method} ${target}`,
      new Promise((resolve, reject) => {
        const req = http.request(url, { method, headers, agent }, (res) => {
          const chunks = [];
          res.on('data', (chunk) => chunks.push(chunk));
          res.on('error', reject);
          res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks) }));
        });
        req.on('error', reject);
        req.end(body);
      }),
      30_000,
    );
  }

  // call sends a REST request and returns the status and the JSON of the answer.
  async call(method, target, { by, body, headers = {} } = {}) {
    const res = await this.request(method, target, {
      headers: {
        ...(by && { authorization: `Bearer ${by.token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    assert.match(res.headers['content-type'] ?? '', /^application\/json/, `${method} ${target}: ${res.body}`);
    return { status: res.status, headers: res.headers, body: JSON.parse(res.body) };
  }

  // ok is call for a request that has to succeed.
  async ok(method, target, options) {
    const { status, body } = await this.call(method, target, options);
    assert.equal(status, method === 'POST' ? 201 : 200, `${method} ${target}: ${JSON.stringify(body)}`);
    return body;
  }

  // account registers somebody; an NGO is verified unless asked otherwise.
  async account(role, { verified = true, ...fields } = {}) {
    const id = randomUUID().slice(0, 8);
    const { data } = await this.ok('POST', '/auth/register', {
      body: { email: `${role}-${id}@interop.example`, password: 'interop', name: `${role} ${id}`, role, ...fields },
    });
    const account = { ...data.user, token: data.token };
    if (role === 'NGO' && verified) {
      await this.ok('PATCH', `/admin/verify/${account.id}`, { by: await this.admin() });
      account.isVerified = true;
    }
    return account;
  }

  async admin() {
    this.adminAccount ??= this.ok('POST', '/auth/login', { body: ADMIN }).then(({ data }) => ({ ...data.user, token: data.token }));
    return this.adminAccount;
  }

  // people are one of each role.
  async people() {
    const [donor, ngo, volunteer, admin] = await Promise.all([
      this.account('DONOR', { organizationName: BAKERY }), this.account('NGO'), this.account('VOLUNTEER'), this.admin(),
    ]);
    return { donor, ngo, volunteer, admin };
  }

  create(by, fields = {}, headers) {
    return this.ok('POST', '/donations', { by, body: draft(fields), headers });
  }

  // log of what happened after a position, as the account may see it, to the end. position is the
  // end of the log, where something may lie that the account does not see; last is its last event.
  async events(by, after = '') {
    const all = [];
    const begin = after;
    for (let more = true; more; ) {
      const page = await this.ok('GET', `/events?after=${encodeURIComponent(after)}`, { by });
      assert.equal(page.recovered, true, JSON.stringify(page));
      all.push(...page.events);
      ({ more, position: after } = page);
    }
    return { events: all, position: after, last: all.at(-1)?.position ?? begin };
  }
}

// draft is a donation as a front end sends it.
export function draft(fields = {}) {
  return {
    name: 'Rye bread', foodType: 'Bakery', quantity: 4, unit: 'loaves', latitude: 52.52, longitude: 13.405,
    expiryTime: inFuture(3600_000), ...fields,
  };
}

export function inFuture(ms) {
  return new Date(Date.now() + ms).toISOString();
}

// sign makes a JSON Web Token with HMAC, without any library that could be as wrong as the server.
export function sign(claims, { secret = SECRET, alg = 'HS256' } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = `${part({ alg, typ: 'JWT' })}.${part(claims)}`;
  if (alg === 'none') return `${head}.`;
  const hash = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }[alg];
  return `${head}.${createHmac(hash, secret).update(head).digest('base64url')}`;
}

// soon and past are values for the claim exp.
export const soon = () => Math.floor(Date.now() / 1000) + 600;
export const past = () => Math.floor(Date.now() / 1000) - 60;

