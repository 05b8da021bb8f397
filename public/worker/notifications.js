/**
 * The part of the service worker that tells of messages that the service pushes (Web Push) while nobody looks at the page,
 * and leads to them. The service joins the parts to one classic script, `sw.js`: Firefox has modules there only since 147.
 */

/**
 * The push of a message.
 *
 * @typedef {object} MessagePayload
 * @property {'message'} type
 * @property {string} [messageType] the message's own type, if it is another
 * @property {string} recipient
 * @property {string} sender
 * @property {string} peer the conversation: whom one talks to, or the room
 * @property {number} id
 * @property {string} createdAt
 * @property {string} [expiresAt] from when on it is not shown any more
 * @property {number} unread in all, on this device
 * @property {unknown} content any JSON value
 * @property {boolean} [shortened] whether that is only its beginning
 */

/**
 * The push when a conversation was read elsewhere.
 *
 * @typedef {{ type: 'read', recipient: string, peer: string, through: number, unread: number }} ReadPayload
 */

/** The subject of a notification. @typedef {{ peer: string, id: number, expiresAt?: string | undefined }} Shown */

/** Options that not all browsers have. @typedef {NotificationOptions & { renotify: boolean, timestamp: number }} AllOptions */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** Of every notification. Relative to `sw.js`. */
const ICON = 'icons/icon-192.png';

/** A message of the page: the files of the page are to be kept. */
const KEEP_SHELL = 'keep-shell';

/** Pushes are taken one after the other: what closes a notification waits for what shows it. */
let taken = Promise.resolve();

// A newer worker takes over at once: windows have nothing of the older one. They are found without being claimed.
worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()));

worker.addEventListener('push', (event) => {
  const done = taken.then(() => take(readPayload(event.data)));
  taken = done.catch(() => undefined);
  event.waitUntil(done);
});

worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(lead(aboutOf(event.notification).peer));
});

/** The page says what is to be kept, or nothing if there are to be no notifications. */
worker.addEventListener('message', (event) => {
  /** @type {unknown} */
  const said = event.data;
  if (said !== KEEP_SHELL) event.waitUntil(keep(/** @type {{ kept?: Kept }} */ (said).kept));
});

/** @param {MessagePayload | ReadPayload | undefined} payload */
async function take(payload) {
  if (payload === undefined) return;
  await setBadge(payload.unread);
  await closeExpired();
  if (payload.type === 'message') await show(payload);
  else await closeRead(payload);
}

/**
 * Shows a message, in the place of the one before of the same conversation.
 *
 * A subscription that is `userVisibleOnly`, and browsers give no other, promises that each push shows something (Push
 * API §3.4). Here one does not where a window is seen, and one of type `read` never does. Chromium asks for nothing while
 * a tab of the site is visible or a notification of it stands; else it takes it from a budget, and shows one of its own
 * when that is used up. Firefox takes it from a quota while no page of the site is open, and a visit fills that up
 * again. Safari takes the permission away after a few, whatever is open: there something is always shown.
 *
 * @param {MessagePayload} message
 */
async function show(message) {
  const { recipient, sender, peer, id, createdAt, expiresAt } = message;
  if (isExpired(message) && !(await mustShow())) return;
  const tag = tagOf(recipient, peer);
  const [shown] = await worker.registration.getNotifications({ tag });
  // A push service need not keep the order.
  if (shown !== undefined && aboutOf(shown).id >= id) return;
  const isSeen = (await windows()).some(({ visibilityState }) => visibilityState === 'visible');
  if (isSeen && !(await mustShow())) return;
  const text = textOf(message);
  // In one's own inbox a conversation has the sender's name.
  const body = peer === recipient ? `${sender}: ${text}` : text;
  /** @type {AllOptions} */
  const options = {
    tag,
    body,
    icon: ICON,
    data: /** @type {Shown} */ ({ peer, id, expiresAt }),
    timestamp: Date.parse(createdAt),
    // The next message is news as the first one was.
    renotify: true,
  };
  await worker.registration.showNotification(peer, options);
}

/** Returns the text of a message, or its JSON behind its type if it is no text. @param {MessagePayload} message */
function textOf({ messageType, content, shortened }) {
  const end = shortened ? '…' : '';
  if (typeof content === 'string') return content + end;
  return (messageType === undefined ? '' : `${messageType}: `) + JSON.stringify(content) + end;
}

/** Closes what was read elsewhere. @param {ReadPayload} read */
async function closeRead({ recipient, peer, through }) {
  const tag = tagOf(recipient, peer);
  const shown = await worker.registration.getNotifications({ tag });
  const isNewer = shown.some((one) => aboutOf(one).id > through);
  if (!isNewer && (await mustShow())) {
    const data = /** @type {Shown} */ ({ peer, id: through });
    await worker.registration.showNotification(peer, {
      tag,
      data,
      body: 'Read elsewhere',
      icon: ICON,
      silent: true,
    });
  }
  for (const one of await worker.registration.getNotifications({ tag }))
    if (aboutOf(one).id <= through) one.close();
}

/** Closes what has expired. Nothing is pushed of that: it is done with the next push, and by a page that is open. */
async function closeExpired() {
  for (const shown of await worker.registration.getNotifications())
    if (isExpired(aboutOf(shown))) shown.close();
}

/** @param {{ expiresAt?: string | undefined }} about */
function isExpired({ expiresAt }) {
  return expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();
}

/** Whether a push that shows nothing costs the permission, as in Safari, which is known by its push service. */
async function mustShow() {
  const subscription = await worker.registration.pushManager.getSubscription();
  return subscription !== null && new URL(subscription.endpoint).hostname.endsWith('.push.apple.com');
}

/** @param {Notification} notification one that was shown here */
function aboutOf(notification) {
  /** @type {unknown} */
  const data = notification.data;
  return /** @type {Shown} */ (data);
}

// With its scope: a tag replaces notifications on the whole site, and there may be other services on it.
/** @param {string} recipient @param {string} peer */
function tagOf(recipient, peer) {
  return JSON.stringify([worker.registration.scope, recipient, peer]);
}

/** @param {number} unread */
async function setBadge(unread) {
  // Some browsers have none, and some have one for installed pages only.
  if ('setAppBadge' in navigator) await navigator.setAppBadge(unread).catch(() => undefined);
}

/** Leads to a conversation, in a window that is open or in a new one. @param {string} peer */
async function lead(peer) {
  const [open] = await windows();
  if (open === undefined) {
    await worker.clients.openWindow(urlOf(`#${encodeURIComponent(peer)}`));
    return;
  }
  open.postMessage({ peer });
  await open.focus();
}

/** The windows of the page, the one that had the focus last first. Beside it and below it there are others. */
async function windows() {
  const { scope } = worker.registration;
  const pages = [scope, `${scope}index.html`];
  const all = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  return all.filter(({ url }) => pages.includes(url.replace(/[?#].*/, '')));
}

/** Returns the URL of something of the service, which may be below a path of its site. @param {string} path */
function urlOf(path) {
  return new URL(path, worker.registration.scope);
}

/**
 * Reads what was pushed.
 *
 * @param {PushMessageData | null} data
 * @returns {MessagePayload | ReadPayload | undefined} `undefined` where it is none of these: a newer service may push others
 */
function readPayload(data) {
  /** @type {unknown} */
  let value;
  try {
    value = data?.json();
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const payload = /** @type {Record<string, unknown>} */ (value);
  const { type, messageType, recipient, sender, peer, id, expiresAt, through, unread } = payload;
  const isAddressed = typeof recipient === 'string' && typeof peer === 'string' && isCount(unread);
  const areTexts = [messageType, expiresAt].every((one) => ['undefined', 'string'].includes(typeof one));
  const isMessage =
    type === 'message' && areTexts && typeof sender === 'string' && isCount(id) && 'content' in payload;
  const isRead = type === 'read' && isCount(through);
  if (!isAddressed || !(isMessage || isRead)) return undefined;
  return /** @type {MessagePayload | ReadPayload} */ (/** @type {unknown} */ (payload));
}

/** @param {unknown} value */
function isCount(value) {
  return Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0;
}
