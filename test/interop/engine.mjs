// The engine without the product, for a test, in a process of its own: engine/main.go, or with
// ENGINE=reference the Node server in reference.mjs, which judges the tests themselves. ENGINE_BIN
// names a build of engine/main.go to test, such as one with the race detector.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, until, within } from './harness.mjs';
import { MODES, tap } from './tap.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

// reference says that the tests run against the Node server. What it does otherwise is written in
// the tests with this word; docs/protocol.md names it.
export const reference = process.env.ENGINE === 'reference';

// UPGRADING is the mode of MODES in which a connection begins with polling and moves on.
export const UPGRADING = 'polling, then upgrade';

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

let built;

export class Engine {
  log = []; // what the server reports of its sockets: { what, nsp, id, reason }
  stderr = '';
  clients = new Set(); // with a close method each

  // start runs a server for the test t, which ends with it. options are those of main.go, durations in ms.
  static async start(t, { maxPayload, recovery, ...durations } = {}) {
    const engine = new Engine();
    t.after(() => engine.dispose());
    const options = Object.entries(durations).map(([name, ms]) => `-${name}=${ms}ms`);
    if (maxPayload) options.push(`-maxPayload=${maxPayload}`);
    if (recovery) options.push('-recovery=1');
    const [program, ...args] = reference
      ? [process.execPath, path.join(here, 'reference.mjs')]
      : [process.env.ENGINE_BIN ?? await (built ??= build('engine', './test/interop/engine'))];
    const child = spawn(program, [...args, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    engine.child = child;
    engine.exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        running.delete(child);
        resolve({ code, signal });
      });
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (engine.stderr += text));
    let line = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (line + text).split('\n');
      line = lines.pop();
      engine.log.push(...lines.map((each) => JSON.parse(each)));
    });
    await Promise.race([
      until('the address', () => engine.log.length > 0, { ms: 15_000 }),
      engine.exited.then((how) => assert.fail(`server ended with ${JSON.stringify(how)}: ${engine.stderr}`)),
    ]);
    engine.url = engine.log.shift().url;
    engine.agent = new http.Agent({ keepAlive: true });
    return engine;
  }

  async dispose() {
    this.disposed = true;
    for (const client of this.clients) client.close();
    this.agent?.destroy();
    this.child?.kill('SIGTERM');
    const how = await within('the end of the server', this.exited, 10_000).catch((err) => (this.child.kill('SIGKILL'), Promise.reject(err)));
    if (process.env.LARDER_LOG) process.stderr.write(this.stderr);
    if (reference) return;
    const faults = this.stderr.split('\n').filter((text) => /"level":"ERROR"|^panic:|DATA RACE/.test(text));
    assert.deepEqual(faults, [], 'the server logged errors');
    assert.equal(how.code, 0, `the server ended with ${JSON.stringify(how)}: ${this.stderr}`);
  }

  // do has the server do something (order in do.go) and returns its answer.
  do(what, order = {}) {
    const body = JSON.stringify({ do: what, ...order });
    return within(what, new Promise((resolve, reject) => {
      const req = http.request(new URL('/do', this.url), { method: 'POST', agent: this.agent }, (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (chunk) => (text += chunk)).on('error', reject);
        res.on('end', () => (res.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`${what}: ${text}`))));
      });
      req.on('error', reject);
      req.end(body);
    }), 20_000);
  }

  emit(event, args = [], order = {}) {
    return this.do('emit', { event, args, ...order });
  }

  // tap connects a client and waits until it is in, and has upgraded if it is going to.
  async tap(mode, options = {}) {
    const client = this.client(mode, options);
    await client.until('welcome', () => client.named('welcome').length);
    if (!options.upgrading) await client.until('its transport', () => client.path.length === MODES[mode].path.length);
    return client;
  }

  // client is tap without the wait.
  client(mode, { upgrading, ...options } = {}) {
    return tap(this, { namespace: '/', label: mode, reconnectionDelay: 50, ...MODES[mode].options, ...options });
  }

  // ended waits for the end of a socket and returns the reason that the server has for it.
  async ended(id, ms) {
    const end = () => this.log.filter((each) => each.what === 'disconnect' && each.id === id);
    await until(() => `the server to miss ${id}: ${JSON.stringify(this.log)}`, () => end().length, { ms, server: this });
    assert.equal(end().length, 1, 'OnDisconnect is called once');
    return end()[0].reason;
  }

  async heard(socket) {
    return (await this.do('heard', { socket: socket.id })).heard ?? [];
  }
}

// numbers are 0 to n - 1.
export const numbers = (n) => Array.from({ length: n }, (_, i) => i);

// filling is what the server fills a binary argument with.
export const filling = (n) => Buffer.from(numbers(n).map((i) => i % 251));

// bin stands for binary in an order.
export const bin = (data) => ({ $bin: Buffer.from(data).toString('base64') });
