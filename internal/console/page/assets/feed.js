// The live feed: one socket on /donations for as long as somebody is signed in. It decides
// nothing about donations; it says how the connection is, passes events on, and says when the
// list must be read again because something may have been missed.

// open connects and returns a function that disconnects for good. Handlers:
//   state(kind, text)   kind is 'live', 'wait' or 'refused'
//   event(name, data)   every event, in order
//   stale()             events may be missing: read the list again
//   refused(message)    the token is no good any more
export function open(getToken, handlers) {
  const { io } = globalThis;
  if (!io) {
    handlers.state('refused', 'Not live: the Socket.IO client could not be loaded');
    return () => {};
  }
  const socket = io('/donations', { auth: (cb) => cb({ token: getToken() }) });
  let tries = 0;
  let timer = 0;
  let doubt = 0;
  let pause = 0; // what a server that goes away asked for

  const live = () => handlers.state('live', `Live via ${socket.io.engine.transport.name}`);

  // The stock client retries lost connections by itself, but never one that the server refused
  // or ended. Where the server says that trying again makes sense, that is done here.
  const retryLater = (asked = 0) => {
    const wait = Math.max(asked, Math.min(1000 * 2 ** tries++, 30000) * (0.5 + Math.random() / 2));
    clearTimeout(timer);
    timer = setTimeout(() => socket.connect(), wait);
  };

  socket.on('connect', () => {
    tries = 0;
    live();
    socket.io.engine.on('upgrade', () => socket.connected && live());
    // feed.ready says whether anything was missed; without it, be careful.
    clearTimeout(doubt);
    if (!socket.recovered) doubt = setTimeout(handlers.stale, 2000);
  });

  socket.on('connect_error', (err) => {
    if (socket.active) { // the transport failed; the client goes on trying
      handlers.state('wait', `Reconnecting… ${transportReason(err)}`);
      return;
    }
    const { code, retry, retryAfterMs } = err.data ?? {};
    const reason = `${err.message}${code ? ` (${code})` : ''}`;
    handlers.state('refused', retry ? `Refused for now: ${reason}. Trying again…` : `Refused: ${reason}`);
    if (retry) retryLater(retryAfterMs);
    else if (code?.startsWith('token_')) handlers.refused(err.message);
  });

  socket.on('disconnect', (reason) => {
    if (reason === 'io client disconnect') return;
    handlers.state('wait', `Reconnecting… (${reason})`);
    if (reason === 'io server disconnect') retryLater(pause);
    pause = 0;
  });

  socket.io.on('reconnect_attempt', (n) => handlers.state('wait', `Reconnecting… try ${n}`));

  socket.onAny((name, data) => {
    handlers.event(name, data);
    if (name === 'server.draining') pause = Number(data?.reconnectInMs) || 0;
    if (name !== 'feed.ready') return;
    clearTimeout(doubt);
    if (!data?.recovered) handlers.stale();
  });

  return () => {
    clearTimeout(timer);
    clearTimeout(doubt);
    socket.io.off('reconnect_attempt');
    socket.disconnect();
  };
}

// transportReason includes the server's own words where the transport had an answer to read,
// for example that this page's origin is not in its list.
function transportReason(err) {
  const answer = String(err.context?.responseText ?? '').trim().slice(0, 200);
  return `(${err.message}${answer ? `: ${answer}` : ''})`;
}
