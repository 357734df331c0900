// A real browser for a test: Chromium, driven over its DevTools protocol. Each page has a profile of
// its own, so that several people look at the board at once.
//
// CHROMIUM names the program; without it the usual names are tried. Where there is none, found is
// undefined and tests skip.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import WebSocket from 'ws';
import { until, within } from './harness.mjs';

function works(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : ['chromium', 'chromium-browser', 'google-chrome'];
export const found = names.find(works);

export class Browser {
  static async start(t) {
    const browser = new Browser();
    const profile = mkdtempSync(path.join(os.tmpdir(), 'larder-browser-'));
    const child = spawn(found, [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--remote-debugging-port=0',
      `--user-data-dir=${profile}`, 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'pipe'] });
    const gone = new Promise((resolve) => child.once('close', resolve));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    t.after(async () => {
      child.kill('SIGKILL');
      await gone;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    });
    const [, address] = await until(() => `a DevTools address, got ${said}`, () => /DevTools listening on (\S+)/.exec(said), { ms: 30_000 });
    browser.socket = new WebSocket(address, { perMessageDeflate: false, maxPayload: 64 << 20 });
    await within('the DevTools', new Promise((resolve, reject) => browser.socket.once('open', resolve).once('error', reject)));
    browser.answers = new Map();
    browser.pages = new Map(); // by session
    browser.socket.on('message', (text) => browser.take(JSON.parse(text)));
    return browser;
  }

  take({ id, result, error, method, params, sessionId }) {
    if (id) {
      this.answers.get(id)(error ? Promise.reject(new Error(JSON.stringify(error))) : result);
      this.answers.delete(id);
      return;
    }
    this.pages.get(sessionId)?.note(method, params);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = (this.last = (this.last ?? 0) + 1);
    const answer = new Promise((resolve) => this.answers.set(id, resolve));
    this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    return within(method, answer, 20_000);
  }

  // page opens an address in a profile of its own, in a window so wide.
  async page(url, { width = 1280, height = 1000, place } = {}) {
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId);
    this.pages.set(sessionId, page);
    for (const domain of ['Page', 'Runtime', 'DOM', 'Log']) await page.send(`${domain}.enable`);
    await page.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    if (place) {
      await this.send('Browser.grantPermissions', { origin: new URL(url).origin, permissions: ['geolocation'], browserContextId });
      await page.send('Emulation.setGeolocationOverride', { ...place, accuracy: 5 });
    }
    await page.send('Page.navigate', { url });
    return page;
  }
}

export class Page {
  faults = []; // what scripts threw and the browser refused

  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
  }

  note(method, params) {
    if (method === 'Runtime.exceptionThrown') this.faults.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Log.entryAdded' && params.entry.source === 'security') this.faults.push(params.entry.text);
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  // run calls a function in the page with arguments that are JSON, and returns what it returns.
  async run(fn, ...args) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression: `(${fn})(...${JSON.stringify(args)})`, awaitPromise: true, returnByValue: true,
    });
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  }

  text(selector) {
    return this.run((s) => document.querySelector(s)?.innerText ?? null, selector);
  }

  // sees waits until what a selector selects is shown and says something.
  sees(selector, pattern, ms) {
    let text;
    return until(() => `${pattern} in ${selector}, which says ${text}; faults ${this.faults}`, async () => {
      text = await this.text(selector);
      return text !== null && pattern.test(text);
    }, { ms });
  }

  // click waits for an element that can be clicked, and clicks it.
  click(selector) {
    return until(`something to click: ${selector}`, () => this.run((s) => {
      const node = document.querySelector(s);
      if (!node || node.disabled || node.getClientRects().length === 0) return false;
      node.click();
      return true;
    }, selector));
  }

  fill(form, fields) {
    return this.run((id, values) => {
      for (const [name, value] of Object.entries(values)) document.getElementById(id).elements[name].value = value;
    }, form, fields);
  }

  async choose(selector, ...files) {
    const { root } = await this.send('DOM.getDocument');
    const { nodeId } = await this.send('DOM.querySelector', { nodeId: root.nodeId, selector });
    await this.send('DOM.setFileInputFiles', { nodeId, files });
  }

  async signIn({ email, password }) {
    await this.click('#show-sign-in');
    await this.fill('sign-in', { email, password });
    await this.click('#sign-in .primary');
    await this.sees('#link-text', /^Live/);
  }
}
