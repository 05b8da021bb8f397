/** The part of the service worker that keeps the subscription of this device. */

/**
 * The subscription of this device, as stored by the page: no page may be open when it must be renewed.
 *
 * @typedef {{ me: string, recipients: string[], endpoint: string }} Kept
 */

worker.addEventListener('pushsubscriptionchange', (event) => {
  event.waitUntil(subscribeAnew(event.newSubscription));
});

/**
 * Tells the service that the subscription has changed or is gone, for each inbox that this device had
 * notifications of. The page tells it when it is next opened, if that fails now.
 *
 * @param {PushSubscription | null} given the new subscription if the browser has one
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

/** @returns {Promise<PushSubscription | undefined>} `undefined` if that is not allowed any more */
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

/** @param {'POST' | 'DELETE'} method @param {object} body */
function ask(method, body) {
  return fetch(urlOf('push-subscriptions'), {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** @returns {Promise<Kept | undefined>} */
async function readKept() {
  return /** @type {Kept | undefined} */ (await inStore('readonly', (store) => store.get('kept')));
}

/** Stores the subscription, or removes it. @param {Kept | undefined} kept */
async function keep(kept) {
  await inStore('readwrite', (store) =>
    kept === undefined ? store.delete('kept') : store.put(kept, 'kept'),
  );
}

/**
 * Uses the store. Each service of a site has a store of its own.
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
