/**
 * The part of the service worker that shows the messages that the service pushes (Web Push) while nobody
 * looks at the page, and opens their conversations. The service joins the parts into one classic script,
 * `sw.js`: Firefox supports modules there only since 147.
 */

/**
 * The push of a message.
 *
 * @typedef {object} MessagePayload
 * @property {'message'} type
 * @property {string} [messageType] the message's own type, if it is not `message`
 * @property {string} recipient
 * @property {string} sender
 * @property {string} peer the conversation: the other person, or the room
 * @property {number} id
 * @property {string} createdAt
 * @property {string} [expiresAt] when the message expires
 * @property {number} unread the number of all unread messages of this device
 * @property {unknown} content any JSON value
 * @property {boolean} [shortened] whether `content` is only the beginning
 */

/**
 * The push that says that a conversation was read elsewhere.
 *
 * @typedef {{ type: 'read', recipient: string, peer: string, through: number, unread: number }} ReadPayload
 */

/**
 * The subject of a notification.
 *
 * @typedef {{ peer: string, id: number, expiresAt?: string | undefined }} Shown
 */

/**
 * Options that not all browsers have.
 *
 * @typedef {NotificationOptions & { renotify: boolean, timestamp: number }} AllOptions
 */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** The icon of every notification, relative to `sw.js`. */
const ICON = 'icons/icon-192.png';

/** The message in which the page asks to keep its files. */
const KEEP_SHELL = 'keep-shell';

/**
 * Resolves when the newest push has been handled. Pushes are handled in order: a push that closes a
 * notification comes after the one that showed it.
 */
let taken = Promise.resolve();

// A newer worker takes over at once: no window depends on the older one, and none needs to be claimed.
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

/** The page says what to store for notifications, or nothing if they are off. */
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
 * Shows a message, in place of the previous one of the same conversation.
 *
 * A subscription that is `userVisibleOnly` promises that each push shows something (Push API §3.4), and
 * browsers give no other. This worker shows nothing while a window is visible, and nothing for a push of type
 * `read`. Chromium accepts that while a tab of the site is visible or one of its notifications is shown;
 * otherwise it takes it from a budget, and shows a notification of its own when the budget is used up.
 * Firefox takes it from a quota while no page of the site is open, and a visit refills the quota. Safari
 * withdraws the permission after a few such pushes, whatever is open: there something is always shown.
 *
 * @param {MessagePayload} message
 */
async function show(message) {
  const { recipient, sender, peer, id, createdAt, expiresAt } = message;
  if (isExpired(message) && !(await mustShow())) return;
  const tag = tagOf(recipient, peer);
  const [shown] = await worker.registration.getNotifications({ tag });
  // A push service may change the order.
  if (shown !== undefined && aboutOf(shown).id >= id) return;
  const isSeen = (await windows()).some(({ visibilityState }) => visibilityState === 'visible');
  if (isSeen && !(await mustShow())) return;
  const text = textOf(message);
  // In the person's own inbox a conversation has the sender's name.
  const body = peer === recipient ? `${sender}: ${text}` : text;
  /** @type {AllOptions} */
  const options = {
    tag,
    body,
    icon: ICON,
    data: /** @type {Shown} */ ({ peer, id, expiresAt }),
    timestamp: Date.parse(createdAt),
    // Each message alerts as the first one did.
    renotify: true,
  };
  await worker.registration.showNotification(peer, options);
}

/**
 * Returns the text of a message, or its type and its JSON if the content is no text.
 *
 * @param {MessagePayload} message
 */
function textOf({ messageType, content, shortened }) {
  const end = shortened ? '…' : '';
  if (typeof content === 'string') return content + end;
  return (messageType === undefined ? '' : `${messageType}: `) + JSON.stringify(content) + end;
}

/** Closes the notification of messages that were read elsewhere. @param {ReadPayload} read */
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

/**
 * Closes the notifications of expired messages: with the next push, since expiry is not pushed. An open page
 * does the same.
 */
async function closeExpired() {
  for (const shown of await worker.registration.getNotifications())
    if (isExpired(aboutOf(shown))) shown.close();
}

/** @param {{ expiresAt?: string | undefined }} about */
function isExpired({ expiresAt }) {
  return expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();
}

/** Returns whether a push that shows nothing costs the permission: in Safari, known by its push service. */
async function mustShow() {
  const subscription = await worker.registration.pushManager.getSubscription();
  return subscription !== null && new URL(subscription.endpoint).hostname.endsWith('.push.apple.com');
}

/** @param {Notification} notification shown by this worker */
function aboutOf(notification) {
  /** @type {unknown} */
  const data = notification.data;
  return /** @type {Shown} */ (data);
}

// The tag has the scope in it: it replaces notifications of the whole site, which may have other services.
/** @param {string} recipient @param {string} peer */
function tagOf(recipient, peer) {
  return JSON.stringify([worker.registration.scope, recipient, peer]);
}

/** @param {number} unread */
async function setBadge(unread) {
  // Some browsers have no badge, and some only for installed pages.
  if ('setAppBadge' in navigator) await navigator.setAppBadge(unread).catch(() => undefined);
}

/** Leads to a conversation, in an open window or in a new one. @param {string} peer */
async function lead(peer) {
  const [open] = await windows();
  if (open === undefined) {
    await worker.clients.openWindow(urlOf(`#${encodeURIComponent(peer)}`));
    return;
  }
  open.postMessage({ peer });
  await open.focus();
}

/** Returns the windows of the page, the last one that had the focus first. The site may have other pages. */
async function windows() {
  const { scope } = worker.registration;
  const pages = [scope, `${scope}index.html`];
  const all = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  return all.filter(({ url }) => pages.includes(url.replace(/[?#].*/, '')));
}

/**
 * Returns the URL of a path of the service, which itself may be below a path of its site.
 *
 * @param {string} path
 */
function urlOf(path) {
  return new URL(path, worker.registration.scope);
}

/**
 * Reads what was pushed.
 *
 * @param {PushMessageData | null} data
 * @returns {MessagePayload | ReadPayload | undefined} `undefined` if it is neither: a newer service may push
 *   other things
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
