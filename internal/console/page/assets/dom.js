// Small helpers around the DOM. Data reaches the page only as text nodes and checked attributes.

export const $ = (id) => document.getElementById(id);

// el makes an element. Properties are set as properties; role and names with a dash as attributes.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes('-') || name === 'role') node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

// setText writes only what changed, so that screen readers and selections are left in peace.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, visible) {
  node.hidden = !visible;
}

const narrow = matchMedia('(max-width: 40rem)'); // where toasts would cover the board

export function toast(text) {
  const node = el('div', { className: 'toast' }, text);
  const box = $('toasts');
  box.append(node);
  while (box.children.length > (narrow.matches ? 1 : 4)) box.firstElementChild.remove();
  setTimeout(() => node.remove(), 6000);
}

// onSubmit runs send with the form's fields while its button is off, and shows what goes wrong.
export function onSubmit(form, send) {
  const error = form.querySelector('.error');
  const button = form.querySelector('button:not([type=button])');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    show(error, false);
    button.disabled = true;
    try {
      await send(new FormData(form));
    } catch (err) {
      setText(error, err.message);
      show(error, true);
    } finally {
      button.disabled = false;
    }
  });
}

// bodyOf makes the body of a request of what was filled in: fields left empty are not sent. With files it
// is the form itself, else JSON, with numbers where a field is one.
export function bodyOf(fields, files, numbers = []) {
  const chosen = fields.getAll(files).filter((file) => file.size > 0);
  fields.delete(files);
  for (const [name, value] of [...fields]) if (!value.trim()) fields.delete(name);
  if (chosen.length) {
    for (const file of chosen) fields.append(files, file, file.name);
    return fields;
  }
  const body = Object.fromEntries(fields);
  for (const name of numbers) body[name] = Number(body[name]);
  return body;
}

// position asks the browser where the person is, to a metre or so: {latitude, longitude}.
export function position() {
  if (!navigator.geolocation || !isSecureContext) {
    return Promise.reject(new Error('Browsers tell a position only to pages on https or localhost'));
  }
  return new Promise((resolve, reject) => {
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({ latitude: Number(coords.latitude.toFixed(5)), longitude: Number(coords.longitude.toFixed(5)) }),
      (err) => reject(new Error(err.message || 'The browser knows no position')),
      { timeout: 10000 },
    );
  });
}

// webURL returns an address that is safe to load, or null: only http and https, never script.
export function webURL(text) {
  try {
    const url = new URL(text, location.href);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

const clock = new Intl.DateTimeFormat([], { timeStyle: 'medium' });
const dayAndTime = new Intl.DateTimeFormat([], { dateStyle: 'medium', timeStyle: 'short' });
export const timeOfDay = (date) => clock.format(date);
export const dateTime = (date) => dayAndTime.format(date);

// duration says how long, in the two largest units: "2 d 4 h", "3 h 12 min", "4 min 09 s".
export function duration(ms) {
  const s = Math.floor(ms / 1000);
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d) return `${d} d ${h} h`;
  if (h) return `${h} h ${String(m).padStart(2, '0')} min`;
  return `${m} min ${String(s % 60).padStart(2, '0')} s`;
}
