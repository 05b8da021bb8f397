import { Problem, Unreachable } from '../client.js';
import { storage } from '../client/storage.js';
import { renameKept } from './api.js';
import { canHaveWorker, findWorker, startWorker } from './worker.js';

/** @import { Api } from './api.js' */
/** @import { Chat } from './chat.js' */
/** @import { Rooms } from './rooms.js' */

/**
 * The state of notifications. `none`: the browser cannot have them here. `blocked`: the person forbids them.
 *
 * @typedef {'none' | 'blocked' | 'off' | 'on'} State
 */

/**
 * The person who has this device's notifications, and their inboxes.
 *
 * @typedef {{ me: string, recipients: string[], endpoint: string }} Kept
 */

/** How long to wait for a push service: some browsers never say that they may not use it. */
const PATIENCE_MILLISECONDS = 20_000;

/** Whether there can be notifications. iPhones and iPads have them only for pages on the home screen. */
const canNotify = canHaveWorker && 'PushManager' in globalThis && 'Notification' in globalThis;

/** The notifications of this device, for one person at a time. They come while no window of the page is seen. */
export class Notifications {
  #api;
  #me;
  #rooms;
  #name;
  #badge = 0;
  /** @type {() => void} */
  #onChange = () => undefined;

  /**
   * @param {Api} api
   * @param {string} me
   * @param {Rooms} rooms
   */
  constructor(api, me, rooms) {
    this.#api = api;
    this.#me = me;
    this.#rooms = rooms;
    this.#name = api.keptName('notifications');
    // Earlier versions stored it under this name.
    renameKept(storage, `tidings:chat:notifications:${api.url('')}`, this.#name);
    if (!canNotify) return;
    // Another window may have turned them on or off.
    addEventListener('storage', ({ key }) => {
      if (key === this.#name || key === null) this.#onChange();
    });
    // Not all browsers support this.
    this.#watchPermission().catch(() => undefined);
    void this.#check();
  }

  /** Calls back when the state may have changed. @param {() => void} onChange */
  watch(onChange) {
    this.#onChange = onChange;
  }

  /** @returns {State} */
  get state() {
    if (!canNotify) return 'none';
    if (Notification.permission === 'denied') return 'blocked';
    return Notification.permission === 'granted' && this.#kept?.me === this.#me ? 'on' : 'off';
  }

  /**
   * Turns them on. Call it at a press of a button, since a browser may ask the person.
   *
   * @throws {Error} with a sentence that says why it failed
   */
  async turnOn() {
    const answer = await Notification.requestPermission();
    if (answer !== 'granted') throw new Error(whyNot(answer));
    await this.#inTurn(async () => {
      try {
        await this.#subscribe();
      } catch (error) {
        await this.#end();
        throw new Error(sentenceOf(error), { cause: error });
      }
    });
    this.#onChange();
  }

  /** Turns them off. Does nothing if this person has none here. */
  async turnOff() {
    if (!canNotify) return;
    // Only now is it known whether they are on: another window may have been turning them on.
    await this.#inTurn(() => (this.state === 'on' ? this.#end() : undefined));
    this.#onChange();
  }

  /** Follows the inboxes that are joined now. Does nothing if notifications are off. */
  async follow() {
    if (!canNotify) return;
    // Only now is it known whether they are on: they may have been turned on for the earlier inboxes.
    await this.#inTurn(async () => {
      try {
        if (this.state === 'on') await this.#subscribe();
      } catch (error) {
        // If it fails now, it is done when the page is next opened.
        if (error instanceof Problem && !error.passes) await this.#end();
      }
    });
    this.#onChange();
  }

  /**
   * Closes the notification of a conversation that was read here.
   *
   * @param {Chat} chat
   * @param {number} through the id up to which it was read
   */
  async close({ peer }, through) {
    await this.#closeIf((about) => about.peer === peer && about.id <= through);
  }

  /** Closes the notifications of messages that have expired. */
  async closeExpired() {
    const now = Date.now();
    await this.#closeIf(({ expiresAt = '' }) => Date.parse(expiresAt) <= now);
  }

  /** @param {(about: { peer: string, id: number, expiresAt?: string }) => boolean} which the ones to close */
  async #closeIf(which) {
    if (this.state !== 'on') return;
    for (const notification of (await (await findWorker())?.getNotifications()) ?? []) {
      /** @type {unknown} */
      const data = notification.data;
      const about = /** @type {{ peer: string, id: number, expiresAt?: string }} */ (data);
      if (which(about)) notification.close();
    }
  }

  /**
   * Shows the number of unread messages on the page's icon, if the browser can do that.
   *
   * @param {number} unread
   */
  setBadge(unread) {
    if (unread === this.#badge) return;
    this.#badge = unread;
    // The permission comes last: the browser asks another of its processes for it, and the page waits.
    if (this.#kept?.me === this.#me && this.state === 'on') setAppBadge(unread);
  }

  /** @returns {Kept | undefined} */
  get #kept() {
    /** @type {unknown} */
    const kept = JSON.parse(storage.get(this.#name) ?? 'null');
    return /** @type {Kept | null} */ (kept) ?? undefined;
  }

  /** Makes a change in one window at a time. @param {() => Promise<void> | undefined} change */
  async #inTurn(change) {
    const turn = { isBegun: false };
    try {
      await navigator.locks.request(this.#name, () => {
        turn.isBegun = true;
        return change();
      });
    } catch (error) {
      // A browser that stores nothing for this site forbids its locks too.
      if (turn.isBegun) throw error;
      await change();
    }
  }

  async #watchPermission() {
    const permission = await navigator.permissions.query({ name: 'notifications' });
    permission.onchange = () => {
      this.#onChange();
      // If it was granted, somebody is turning them on.
      if (permission.state !== 'granted') void this.#check();
    };
  }

  /**
   * Removes notifications that this person has not turned on, or that are not allowed any more: somebody else
   * was here before, and their messages are not for the person who is here now.
   */
  async #check() {
    if (this.state === 'on') return;
    await this.#inTurn(() => (this.state === 'on' ? undefined : this.#end()));
    this.#onChange();
  }

  async #subscribe() {
    const worker = await startWorker();
    const key = await this.#api.pushKey();
    const subscription = await inTime(subscribe(worker, key));
    const { endpoint } = subscription;
    const wanted = [this.#me, ...this.#rooms.joined];
    const kept = this.#kept;
    if (kept !== undefined && kept.endpoint !== endpoint) await this.#api.unsubscribe(kept.endpoint);
    for (const one of kept?.recipients ?? [])
      if (!wanted.includes(one)) await this.#api.unsubscribe(endpoint, one);
    await this.#api.subscribe(this.#me, this.#me, subscription);
    const recipients = [this.#me];
    for (const room of this.#rooms.joined) {
      try {
        await this.#api.subscribe(room, this.#me, subscription);
        recipients.push(room);
      } catch (error) {
        // A room that may not be read any more must not prevent all notifications.
        if (!(error instanceof Problem) || error.passes) throw error;
      }
    }
    /** @type {Kept} */
    const now = { me: this.#me, recipients, endpoint };
    storage.set(this.#name, JSON.stringify(now));
    worker.active?.postMessage({ kept: now });
  }

  /** Ends them here and at the service. A service that cannot be reached learns of it from the push service. */
  async #end() {
    const kept = this.#kept;
    storage.remove(this.#name);
    const worker = await findWorker();
    if (worker === undefined) return;
    worker.active?.postMessage({});
    for (const notification of await worker.getNotifications()) notification.close();
    setAppBadge(0);
    const subscription = await worker.pushManager.getSubscription();
    const endpoints = new Set([kept?.endpoint, subscription?.endpoint]);
    const told = [...endpoints].map((one) => (one === undefined ? undefined : this.#api.unsubscribe(one)));
    await Promise.allSettled([subscription?.unsubscribe(), ...told]);
  }
}

/**
 * Returns the subscription of this device; a new one if there is none, or if the service has other keys now.
 *
 * @param {ServiceWorkerRegistration} worker
 * @param {string} key base64url
 */
async function subscribe({ pushManager }, key) {
  const standing = await pushManager.getSubscription();
  const bytes = new Uint8Array(standing?.options.applicationServerKey ?? []);
  const standingKey = btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
  if (standing !== null && standingKey === key) return standing;
  await standing?.unsubscribe();
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

/**
 * Waits for a promise, but not forever.
 *
 * @template Value
 * @param {Promise<Value>} promise
 * @returns {Promise<Value>}
 */
function inTime(promise) {
  return Promise.race([
    promise,
    new Promise((_resolve, reject) => {
      setTimeout(() => reject(new DOMException('no answer', 'TimeoutError')), PATIENCE_MILLISECONDS);
    }),
  ]);
}

/** @param {number} unread */
function setAppBadge(unread) {
  // Some browsers have no badge, and some only for installed pages.
  if ('setAppBadge' in navigator) navigator.setAppBadge(unread).catch(() => undefined);
}

/** @param {NotificationPermission} permission */
function whyNot(permission) {
  return permission === 'denied'
    ? 'Your browser blocks notifications from this page. Allow them in its settings for this site.'
    : 'You have not allowed this page to notify you yet. Press the bell again, and allow it.';
}

/** @param {unknown} error */
function sentenceOf(error) {
  if (error instanceof Problem) return `Notifications cannot be turned on: ${error.message}`;
  if (error instanceof Unreachable)
    return 'Notifications cannot be turned on: the service cannot be reached.';
  return 'Notifications cannot be turned on: this browser cannot reach its push service, or may not use it.';
}
