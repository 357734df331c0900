// What the server says of itself to other programs: the types are compiled with a client in strict
// TypeScript, the documents are held against the official schemas. Clauses P-55, P-56.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv';
import { Server } from './harness.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

// compile runs tsc over files in a folder and returns what it says, empty when all is well.
async function compile(folder, files) {
  const tsc = path.join(here, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = [
    '--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--noPropertyAccessFromIndexSignature',
    '--target', 'es2022', '--module', 'nodenext', '--moduleResolution', 'nodenext', '--lib', 'es2022,dom', '--types', '',
  ];
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, ...options, ...files], { cwd: folder }, (error, out, err) => resolve(error ? out + err || String(error) : ''));
  });
}

test('documents', { timeout: 120_000 }, async (t) => {
  const server = await Server.start(t);
  const get = async (target, type) => {
    const { status, headers, body } = await server.request('GET', target);
    assert.equal(status, 200, target);
    assert.match(headers['content-type'], type, target);
    return body.toString();
  };
  const types = await get('/types/events.d.ts', /^text\/plain/);

  // Below node_modules, so that the client's own types are found.
  const cache = path.join(here, 'node_modules', '.cache');
  await fs.mkdir(cache, { recursive: true });
  const folder = await fs.mkdtemp(path.join(cache, 'types-'));
  t.after(() => fs.rm(folder, { recursive: true, force: true }));
  await fs.cp(path.join(here, 'types'), folder, { recursive: true });
  await fs.writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
  const file = path.join(folder, 'larder-events.d.ts');
  await fs.writeFile(file, types);
  const files = ['client.ts', 'carrier.ts'];

  await t.test('a strict client compiles against the types', async () => {
    assert.equal(await compile(folder, files), '');
  });

  await t.test('and no longer, when the types say something else', async () => {
    for (const [from, to] of [
      ["'donation.near_expiry':", "'donation.near_expiries':"],
      ['quantity: string;', 'quantity: number;'],
      ['description: string | null;', 'description: string;'],
      ['reason?: string;', 'reason: string;'],
      ['`volunteer.location.${string}`', '`volunteer.place.${string}`'],
      ["'volunteer.shareLocation':", "'volunteer.shareLocations':"],
      ["status: 'AVAILABLE' | 'PICKED_UP'", "status: 'EATEN' | 'AVAILABLE' | 'PICKED_UP'"],
    ]) {
      assert.ok(types.includes(from), `the types have ${from}`);
      await fs.writeFile(file, types.replaceAll(from, to));
      assert.match(await compile(folder, files), /error TS/, `${from} became ${to}`);
    }
  });

  await t.test('AsyncAPI 3.0, by its own schema', async () => {
    const doc = JSON.parse(await get('/asyncapi.json', /^application\/json/));
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true, meta: false, validateSchema: false });
    const valid = ajv.compile(require('@asyncapi/specs/schemas/3.0.0.json'));
    assert.ok(valid(doc), ajv.errorsText(valid.errors?.slice(0, 5)));
    doc.operations['donations.feed'].action = 'shout';
    assert.equal(valid(doc), false, 'the schema looks at the document');
  });

  await t.test('OpenAPI 3.1, by its own schema', async () => {
    const doc = JSON.parse(await get('/api-json', /^application\/json/));
    assert.match(doc.openapi, /^3\.1\./);
    const good = await new Validator().validate(doc);
    assert.ok(good.valid, JSON.stringify(good.errors));
    delete doc.info.title;
    assert.equal((await new Validator().validate(doc)).valid, false, 'the schema looks at the document');
  });
});
