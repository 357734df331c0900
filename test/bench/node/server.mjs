// The official server as it comes. See control/control.go for what it prints
// and what its control takes.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'socket.io';

const donation = JSON.parse(readFileSync(new URL('../event/donation.json', import.meta.url)));
const now = () => process.hrtime.bigint();

const http = createServer();
const io = new Server(http);

function emit(at) {
  io.emit('donation.created', { ...donation, sentAt: String(at).padStart(19, '0') });
}

async function emitAll(n, every) {
  const start = now();
  for (let i = 0; i < n; i++) {
    const at = start + BigInt(i * every) * 1_000_000n;
    const early = Number(at - now()) / 1e6;
    if (early > 0) await sleep(Math.ceil(early));
    emit(at);
  }
}

const control = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://control');
  await emitAll(Number(url.searchParams.get('n')), parseInt(url.searchParams.get('every'), 10));
  res.end();
});

const listen = (server) => new Promise((done) => {
  server.listen(0, '127.0.0.1', () => done(`127.0.0.1:${server.address().port}`));
});

console.log(JSON.stringify({ addr: await listen(http), control: await listen(control) }));
