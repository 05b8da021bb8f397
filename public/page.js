/**
 * A page that follows one inbox with the browser's own EventSource and sends messages with fetch.
 *
 * It keeps nothing of its own about resuming: EventSource sends the last event id when it connects again, and the
 * server goes on from there. What comes is shown as it comes, so that a message that is lost or repeated can be seen.
 */

import { EventLog } from './event-log.js';

/** @import { Frames, Message } from './event-log.js' */
/** @typedef {'idle' | 'connecting' | 'catching-up' | 'live' | 'gone'} State */

/** How many of the newest messages a stream begins with. */
const FIRST = 50;

/** @type {Record<State, string>} */
const STATES = {
  idle: 'Not connected',
  connecting: 'Connecting',
  'catching-up': 'Catching up',
  live: 'Live',
  gone: 'Gone',
};

/** @type {Record<string, string>} */
const GAPS = {
  purged:
    'Some messages are missing here: they were purged before this page could get them. It goes on with what is left.',
  restored:
    'The server does not know where this page stopped: its log went back in time. What was shown is taken away; below is what the log holds now.',
  unknown:
    'The server cannot tell where this page stopped. What was shown is taken away; below is what the log holds now.',
};

/** @type {Record<string, string>} */
const BYES = {
  shutdown: 'the server is shutting down',
  'token-expired': 'the session has expired',
  'too-slow': 'this page read too slowly',
  'over-limit': 'as many streams are open as the server takes',
};

const log = new EventLog(element('log', HTMLElement), element('events', HTMLOListElement));
const heard = element('heard', HTMLTimeElement);
const again = element('again', HTMLButtonElement);
const me = element('me', HTMLInputElement);
const from = element('from', HTMLInputElement);
const to = element('to', HTMLInputElement);
const content = element('content', HTMLTextAreaElement);
const answer = element('answer', HTMLOutputElement);
const sendForm = element('send', HTMLFormElement);
const curl = element('curl', HTMLElement);

/** @type {EventSource | undefined} */
let source;
let lastEventId = '';
/** The same for every attempt to send the same message, so that it is stored once. */
let idempotencyKey = newKey();

/**
 * Opens the stream of an address, in place of the one before.
 *
 * @param {string} address
 * @param {Record<string, string | number>} start where it begins: the query's `last` or `lastEventId`
 */
function follow(address, start) {
  source?.close();
  const url = urlOf('stream', { recipient: address, ...start });
  const opened = new EventSource(url);
  source = opened;
  again.hidden = true;
  show('connecting');

  /**
   * @template {keyof Frames} Name
   * @param {Name} name
   * @param {(data: Frames[Name], id: string) => void} take
   */
  const on = (name, take) => {
    /** @param {MessageEvent<string>} event */
    const listener = (event) => {
      if (source !== opened) return;
      ({ lastEventId } = event);
      const now = new Date();
      heard.dateTime = now.toISOString();
      heard.textContent = now.toLocaleTimeString();
      /** @type {unknown} */
      const data = JSON.parse(event.data);
      take(/** @type {Frames[Name]} */ (data), lastEventId);
    };
    opened.addEventListener(name, listener);
  };

  on('message', (message) => log.addMessage(message, address));
  on('heartbeat', () => undefined);
  on('ready', ({ gap }, id) => {
    show('catching-up');
    if (gap === 'restored' || gap === 'unknown') log.clear();
    if (gap === false) log.add({ event: 'ready', id, text: 'The stream is open' });
    else log.add({ event: 'ready', id, text: GAPS[gap] ?? `Messages are missing: ${gap}`, warns: true });
  });
  on('live', ({ replayed }, id) => {
    show('live');
    log.add({ event: 'live', id, text: `${replayed} replayed; from here on it is as it happens` });
  });
  on('bye', ({ reason }, id) => {
    const why = BYES[reason] ?? reason;
    show('connecting', why);
    log.add({ event: 'bye', id, text: `The server ends the stream: ${why}` });
  });
  opened.addEventListener('error', () => {
    if (source !== opened) return;
    if (opened.readyState === EventSource.CLOSED) void explain(opened, url);
    else if (element('status', HTMLElement).dataset['state'] !== 'connecting') {
      show('connecting', 'the connection fell; the browser takes it up again by itself');
    }
  });
}

/**
 * Says why the browser gave a stream up: EventSource tells no status, so the same is asked once more.
 *
 * @param {EventSource} closed
 * @param {string} url
 */
async function explain(closed, url) {
  show('gone');
  again.hidden = false;
  const aborter = new AbortController();
  const why = await fetch(url, { signal: aborter.signal })
    .then((response) => (response.ok ? 'it may be back by now' : problemOf(response)))
    .catch(() => 'the server cannot be reached');
  aborter.abort();
  if (source === closed) show('gone', why);
}

/** @param {SubmitEvent} event */
async function send(event) {
  event.preventDefault();
  const { submitter } = event;
  const text = content.value;
  submitter?.setAttribute('disabled', '');
  try {
    const response = await fetch(urlOf('messages'), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        sender: name(from),
        recipient: name(to),
        content: text,
        idempotencyKey,
      }),
    });
    answer.className = response.ok ? 'good' : 'bad';
    if (response.ok) {
      /** @type {unknown} */
      const stored = await response.json();
      const { id } = /** @type {Message} */ (stored);
      answer.value = `${response.status}: on disk as message ${id}`;
      // Not what was typed since.
      if (content.value === text) content.value = '';
      idempotencyKey = newKey();
    } else {
      answer.value = await problemOf(response);
    }
  } catch {
    answer.className = 'bad';
    answer.value = 'No answer: the server cannot be reached. Sending it again is safe, it is stored once.';
  } finally {
    submitter?.removeAttribute('disabled');
  }
}

/**
 * The status and detail of a refusal (RFC 9457), or the status alone where something else answered.
 *
 * @param {Response} response
 * @returns {Promise<string>}
 */
async function problemOf(response) {
  const isProblem = response.headers.get('Content-Type')?.startsWith('application/problem+json') === true;
  if (!isProblem) return `${response.status} ${response.statusText}`;
  /** @type {unknown} */
  const problem = await response.json();
  return `${response.status}: ${/** @type {{ detail: string }} */ (problem).detail}`;
}

/**
 * @param {State} state
 * @param {string} [reason]
 */
function show(state, reason = '') {
  element('status', HTMLElement).dataset['state'] = state;
  element('state', HTMLElement).textContent = STATES[state];
  element('reason', HTMLElement).textContent = reason;
  element('log', HTMLElement).ariaBusy = String(state === 'catching-up');
}

/** Follows whom the address bar names: `#recipient=bob`. */
function followNamed() {
  const address = new URLSearchParams(location.hash.slice(1)).get('recipient') ?? '';
  if (address === '') return;
  me.value = address;
  from.value = address;
  document.title = `${address} · Tidings`;
  // A URL's query has no character that ends a quoted word of the shell.
  curl.textContent = `curl -N '${urlOf('stream', { recipient: address })}'`;
  element('terminal', HTMLElement).hidden = false;
  log.clear();
  lastEventId = '';
  heard.textContent = 'never';
  follow(address, { last: FIRST });
}

/**
 * A path of the service, beside this page wherever that is.
 *
 * @param {string} path
 * @param {Record<string, string | number>} [query]
 */
function urlOf(path, query = {}) {
  const url = new URL(path, document.baseURI);
  url.hash = '';
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
  return url.href;
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`the page has no ${type.name} #${id}`);
  return found;
}

/** @param {HTMLInputElement} input */
function name(input) {
  return input.value.trim().normalize('NFC');
}

// Not randomUUID: it is missing where the page is served over plain http.
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join('');
}

element('identity', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const hash = `#${new URLSearchParams({ recipient: name(me) })}`;
  if (location.hash === hash) followNamed();
  else location.hash = hash;
});
sendForm.addEventListener('submit', (event) => void send(event));
sendForm.addEventListener('input', () => (idempotencyKey = newKey()));
content.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  sendForm.requestSubmit();
});
element('server-events', HTMLInputElement).addEventListener('change', ({ target }) => {
  log.showServerEvents(target instanceof HTMLInputElement && target.checked);
});
again.addEventListener('click', () =>
  follow(name(me), lastEventId === '' ? { last: FIRST } : { lastEventId }),
);
element('copy', HTMLButtonElement).addEventListener('click', () => {
  const said = element('copied', HTMLElement);
  // The clipboard is missing where the page is served over plain http: the line is marked, to copy by hand.
  getSelection()?.selectAllChildren(curl);
  const marked = () => (said.textContent = 'Marked: copy it with Ctrl+C');
  if (!('clipboard' in navigator)) marked();
  else navigator.clipboard.writeText(curl.textContent).then(() => (said.textContent = 'Copied'), marked);
});
addEventListener('hashchange', followNamed);
followNamed();
