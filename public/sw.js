/**
 * The service worker of the chat page: tells of messages that the service pushes (Web Push) while nobody looks at the
 * page, and leads to them.
 *
 * It keeps no files and answers no requests. The page is nothing without its service, and files that are kept would be
 * those of an older one; without a listener for `fetch` no request waits for this worker to start either.
 *
 * A classic script in one file: Firefox has modules in service workers only since version 147.
 */

/**
 * What the service pushes of a message.
 *
 * @typedef {object} MessagePayload
 * @property {'message'} type
 * @property {string} [messageType] the message's own type, if it is another
 * @property {string} recipient
 * @property {string} sender
 * @property {string} peer the conversation: whom one talks to, or the room
 * @property {number} id
 * @property {string} createdAt
 * @property {number} unread in all, on this device
 * @property {unknown} content any JSON value
 * @property {boolean} [shortened] whether that is only its beginning
 */

/**
 * What the service pushes when a conversation was read elsewhere.
 *
 * @typedef {{ type: 'read', recipient: string, peer: string, through: number, unread: number }} ReadPayload
 */

/** What a notification is about. @typedef {{ peer: string, id: number }} Shown */

/**
 * What this device is subscribed to, as the page says: none need be open when that has to be done anew.
 *
 * @typedef {{ me: string, recipients: string[], endpoint: string }} Kept
 */

/** What not all browsers have. @typedef {NotificationOptions & { renotify: boolean, timestamp: number }} AllOptions */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (globalThis));

/** Of every notification. Relative to this file. */
const ICON = 'icons/icon-192.png';

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

worker.addEventListener('pushsubscriptionchange', (event) => {
  event.waitUntil(subscribeAnew(event.newSubscription));
});

/** The page says what is to be kept, or nothing where there are to be no notifications. */
worker.addEventListener('message', (event) => {
  /** @type {unknown} */
  const said = event.data;
  event.waitUntil(keep(/** @type {{ kept?: Kept }} */ (said).kept));
});

/** @param {MessagePayload | ReadPayload | undefined} payload */
async function take(payload) {
  if (payload === undefined) return;
  await setBadge(payload.unread);
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
  const { recipient, sender, peer, id, createdAt } = message;
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
    data: /** @type {Shown} */ ({ peer, id }),
    timestamp: Date.parse(createdAt),
    // The next message is news as the first one was.
    renotify: true,
  };
  await worker.registration.showNotification(peer, options);
}

/** What a message says: its text, or of what is no text its JSON, behind its type. @param {MessagePayload} message */
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

/** @param {string} recipient @param {string} peer */
function tagOf(recipient, peer) {
  return JSON.stringify([recipient, peer]);
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

/**
 * The subscription is another, or gone: tells the service, of each inbox that this device had notifications of. What
 * cannot be told now is told by the page when it is opened.
 *
 * @param {PushSubscription | null} given by the browser, or else asked for here
 */
async function subscribeAnew(given) {
  const kept = await readKept();
  if (kept === undefined) return;
  const subscription = given ?? (await subscribe());
  for (const recipient of subscription === undefined ? [] : kept.recipients)
    await ask('POST', { recipient, reader: kept.me, subscription });
  if (kept.endpoint !== subscription?.endpoint) await ask('DELETE', { endpoint: kept.endpoint });
  await keep(subscription && { ...kept, endpoint: subscription.endpoint });
}

/** @returns {Promise<PushSubscription | undefined>} `undefined` where that is not allowed any more */
async function subscribe() {
  if (Notification.permission !== 'granted') return undefined;
  const answer = await fetch(urlOf('push-key'));
  /** @type {unknown} */
  const body = await answer.json();
  const { publicKey } = /** @type {{ publicKey: string }} */ (body);
  return worker.registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: publicKey,
  });
}

/** Where something of the service is: it may be under a path of its site. @param {string} path */
function urlOf(path) {
  return new URL(path, worker.registration.scope);
}

/** @param {'POST' | 'DELETE'} method @param {object} body */
function ask(method, body) {
  return fetch(urlOf('push-subscriptions'), {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
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
  const { type, messageType, recipient, sender, peer, id, through, unread } = payload;
  const isAddressed = typeof recipient === 'string' && typeof peer === 'string' && isCount(unread);
  const isTyped = type === 'message' && ['undefined', 'string'].includes(typeof messageType);
  const isMessage = isTyped && typeof sender === 'string' && isCount(id) && 'content' in payload;
  const isRead = type === 'read' && isCount(through);
  if (!isAddressed || !(isMessage || isRead)) return undefined;
  return /** @type {MessagePayload | ReadPayload} */ (/** @type {unknown} */ (payload));
}

/** @param {unknown} value */
function isCount(value) {
  return Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0;
}

/** @returns {Promise<Kept | undefined>} */
async function readKept() {
  return /** @type {Kept | undefined} */ (await inStore('readonly', (store) => store.get('kept')));
}

/** Keeps something, or nothing. @param {Kept | undefined} kept */
async function keep(kept) {
  await inStore('readwrite', (store) =>
    kept === undefined ? store.delete('kept') : store.put(kept, 'kept'),
  );
}

/**
 * The store of a service that is not alone on its site is its own.
 *
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<any>} use
 * @returns {Promise<unknown>}
 */
async function inStore(mode, use) {
  const opening = indexedDB.open(`tidings:notifications:${worker.registration.scope}`);
  opening.onupgradeneeded = () => opening.result.createObjectStore('subscription');
  await resultOf(opening);
  const database = opening.result;
  try {
    const store = database.transaction('subscription', mode).objectStore('subscription');
    return await resultOf(use(store));
  } finally {
    database.close();
  }
}

/** @param {IDBRequest<any>} request @returns {Promise<unknown>} */
function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the browser’s store cannot be used'));
  });
}
