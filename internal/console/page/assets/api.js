// Requests to the REST API: the token, errors as text, idempotency keys, and the server's clock.

const KEY = 'token'; // where pages written for this API look for it
let token = '';
try {
  token = localStorage.getItem(KEY) ?? '';
} catch {
  // Storage is forbidden: the sign-in then lasts as long as the page.
}

export const getToken = () => token;

export function setToken(value) {
  token = value;
  try {
    if (value) localStorage.setItem(KEY, value);
    else localStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}

export class APIError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status; // 0: no answer at all
    this.code = code;
  }
}

let refused = () => {};
// onRefused is called when the server no longer accepts the token.
export function onRefused(handler) {
  refused = handler;
}

let skew = 0;
// now is the server's idea of the time, to the second: countdowns must not depend on a wrong clock.
export const now = () => Date.now() + skew;

// A write keeps its key until the server has answered it, so that trying again after a lost
// answer, by the code below or by the person, never does the same thing twice.
const unanswered = new Map(); // what was asked -> its key

function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // plain http away from localhost
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export async function request(method, path, body) {
  return (await ask(method, path, body)).data;
}

// ask is request for callers that also want to know whether a list leaves something out.
export async function ask(method, path, body) {
  const headers = { Accept: 'application/json' };
  const sent = token;
  if (sent) headers.Authorization = `Bearer ${sent}`;
  let what = `${method} ${path} ${sent}`;
  if (body instanceof FormData) { // the browser names its type, with the boundary
    what += JSON.stringify([...body].map(([name, value]) => [name, value instanceof File ? [value.name, value.size] : value]));
  } else if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(body);
    what += body;
  }
  if (method !== 'GET' && path !== '/auth/login') { // a second login harms nobody, a kept answer would
    if (!unanswered.has(what)) unanswered.set(what, newKey());
    headers['Idempotency-Key'] = unanswered.get(what);
  }

  const response = await fetchTwice(path, { method, headers, body, cache: 'no-store' });
  const data = await response.json().catch(() => null);
  if (response.status < 500) unanswered.delete(what);
  const date = Date.parse(response.headers.get('Date'));
  if (!Number.isNaN(date)) skew = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
  if (response.ok) return { data, more: response.headers.has('Link') };

  const error = new APIError(response.status, data?.code, explain(response, data));
  if (response.status === 401 && sent && sent === token) refused(error);
  throw error;
}

async function fetchTwice(path, init) {
  const patience = init.body instanceof FormData ? 120000 : 20000; // files may come over a slow line
  const once = () => fetch(path, { ...init, signal: AbortSignal.timeout(patience) });
  try {
    return await once();
  } catch {
    try {
      await new Promise((resolve) => setTimeout(resolve, 400));
      return await once();
    } catch {
      throw new APIError(0, 'unreachable', 'Larder does not answer. Check the connection and try again.');
    }
  }
}

function explain(response, data) {
  const message = [data?.message ?? `The server answered ${response.status}.`].flat().join('\n');
  const wait = response.status === 429 && response.headers.get('Retry-After');
  return wait ? `${message}\nTry again in ${wait} s.` : message;
}
