/** Notifications in a browser, with a made-up push service, and a service worker that can be looked into. */
import type { BrowserContext, CDPSession, Page, Worker } from 'playwright-core';
import { PushDevice } from './push-device.ts';
import { until } from './until.ts';

/** Lets the service accept the endpoints, but send nothing: nobody outside of this machine is asked. */
export const SENDS_NOTHING = { PUSH_DELAY_SECONDS: '3600' };

/** The host of Chromium's push service; only its name is used. */
const PUSH_HOST = 'fcm.googleapis.com';

/**
 * Replaces the browser's push manager, which would ask a real push service: gives made-up subscriptions, one
 * after the other, and keeps the current one in the browser.
 */
const PUSH_MANAGER = (subscriptions: readonly object[]): string => `{
  const subscriptions = ${JSON.stringify(subscriptions)};
  const kept = (name) => JSON.parse(localStorage.getItem('push:' + name));
  const keep = (name, value) => localStorage.setItem('push:' + name, JSON.stringify(value));
  const bytesOf = (key) => Uint8Array.from(atob(key.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  const standing = () => {
    const now = kept('standing');
    if (now === null || Notification.permission !== 'granted') return null;
    return {
      endpoint: now.endpoint,
      options: { applicationServerKey: bytesOf(now.key).buffer },
      toJSON: () => subscriptions[now.index],
      unsubscribe: async () => (keep('standing', null), true),
    };
  };
  PushManager.prototype.getSubscription = async () => standing();
  PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey: key }) => {
    if (Notification.permission !== 'granted') throw new DOMException('not granted', 'NotAllowedError');
    if (userVisibleOnly !== true) throw new DOMException('not shown', 'NotAllowedError');
    const index = kept('count') ?? 0;
    keep('count', index + 1);
    keep('standing', { index, key, endpoint: subscriptions[index].endpoint });
    return standing();
  };
}`;

/** Runs in the worker: records the outcomes of its events, and of calls that only a person's click allows. */
const LOOK_INTO = `{
  self.settled = [];
  self.badges = [];
  self.focused = [];
  self.opened = [];
  const { waitUntil } = ExtendableEvent.prototype;
  ExtendableEvent.prototype.waitUntil = function (promise) {
    promise.then(() => settled.push('done'), (error) => settled.push(String(error)));
    return waitUntil.call(this, promise);
  };
  navigator.setAppBadge = async (count) => void badges.push(count);
  WindowClient.prototype.focus = async function () { focused.push(this.url); return this; };
  clients.openWindow = async (url) => void opened.push(String(url));
}`;

/** The contents of a notification. */
export interface Shown {
  readonly title: string;
  readonly body: string;
}

/** A browser's push service, as pages see it. */
export class PushBrowser {
  readonly devices: readonly PushDevice[];
  readonly #context: BrowserContext;
  readonly #origin: string;

  private constructor(context: BrowserContext, origin: string, devices: readonly PushDevice[]) {
    this.#context = context;
    this.#origin = origin;
    this.devices = devices;
  }

  /** @param host the host of the push service */
  static async prepare(context: BrowserContext, origin: string, host = PUSH_HOST): Promise<PushBrowser> {
    const devices = Array.from({ length: 4 }, () => new PushDevice(host));
    await context.addInitScript(PUSH_MANAGER(devices.map(({ subscription }) => subscription)));
    return new PushBrowser(context, origin, devices);
  }

  /** Sets what a person allows in the browser's settings, as long as the debugger of this page is there. */
  async setPermission(page: Page, setting: 'granted' | 'denied' | 'prompt'): Promise<void> {
    const debug = await this.#context.newCDPSession(page);
    const { targetInfo } = await debug.send('Target.getTargetInfo');
    await debug.send('Browser.setPermission', {
      permission: { name: 'notifications' },
      setting,
      origin: this.#origin,
      ...(targetInfo.browserContextId === undefined ? {} : { browserContextId: targetInfo.browserContextId }),
    });
  }

  /** Gives the browser another of the subscriptions; with another key of the service, if one is given. */
  async stand(page: Page, index: number, key?: string): Promise<void> {
    const change = { index, endpoint: this.devices[index]?.endpoint, ...(key === undefined ? {} : { key }) };
    await page.evaluate(
      `localStorage.setItem('push:standing', JSON.stringify({
        ...JSON.parse(localStorage.getItem('push:standing')), ...${JSON.stringify(change)},
      }))`,
    );
  }

  /** Returns the endpoint that the page knows. */
  keptEndpoint(page: Page): Promise<string | undefined> {
    return page.evaluate(
      `JSON.parse(localStorage.getItem('tidings:' + location.origin + '/:chat:notifications'))?.endpoint`,
    );
  }

  /** Returns the endpoint that the browser has; `null` if it has none. */
  endpoint(page: Page): Promise<string | null> {
    return page.evaluate(`JSON.parse(localStorage.getItem('push:standing'))?.endpoint ?? null`);
  }
}

/** The service worker of a page that has been started. */
export class PushWorker {
  readonly #worker: Worker;
  readonly #debug: CDPSession;
  readonly #registrationId: string;
  readonly #origin: string;

  private constructor(worker: Worker, debug: CDPSession, registrationId: string, origin: string) {
    this.#worker = worker;
    this.#debug = debug;
    this.#registrationId = registrationId;
    this.#origin = origin;
  }

  /**
   * Looks into the active worker, through a tab that is not a window of the page, and may be the only one.
   */
  static async lookInto(context: BrowserContext, origin: string): Promise<PushWorker> {
    await until(() => context.serviceWorkers().length > 0, 'a service worker');
    const [worker] = context.serviceWorkers();
    const tab = await context.newPage();
    await tab.goto(`${origin}/healthz`);
    const debug = await context.newCDPSession(tab);
    let registrationId: string | undefined;
    debug.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      registrationId = registrations.find(({ isDeleted }) => !isDeleted)?.registrationId ?? registrationId;
    });
    await debug.send('ServiceWorker.enable');
    await until(() => registrationId !== undefined, 'its registration');
    // Data that the page stores may still be on its way, and is none of the watched events.
    await until(
      async () => (await worker?.evaluate('readKept().then((kept) => kept !== undefined)')) === true,
      'what it keeps',
    );
    await worker?.evaluate(LOOK_INTO);
    return new PushWorker(worker as Worker, debug, registrationId ?? '', origin);
  }

  /** Runs JavaScript in the worker. */
  run<Value>(source: string): Promise<Value> {
    return this.#worker.evaluate(source);
  }

  /** Makes something come from the push service, and waits until it is handled. @returns the outcome */
  async push(payload: unknown): Promise<string> {
    const data = typeof payload === 'string' ? payload : JSON.stringify(payload);
    const { length } = await this.run<string[]>('settled');
    await this.#debug.send('ServiceWorker.deliverPushMessage', {
      origin: this.#origin,
      registrationId: this.#registrationId,
      data,
    });
    return this.settled(length);
  }

  /** Waits until so many events, and one more, were handled. @returns the outcome of the last one */
  async settled(before: number): Promise<string> {
    await until(async () => (await this.run<string[]>('settled')).length > before, 'the event is dealt with');
    return (await this.run<string[]>('settled'))[before] ?? '';
  }

  /** Dispatches an event, given as an expression, since only a browser can make it. @returns the outcome */
  async #happen(event: string): Promise<string> {
    const { length } = await this.run<string[]>('settled');
    await this.run(`(async () => { self.dispatchEvent(${event}) })()`);
    return this.settled(length);
  }

  /**
   * Takes the subscription away, as the browser does; its next one is this.
   *
   * @returns the outcome of the event
   */
  async loseSubscription(next: PushDevice | undefined): Promise<string> {
    await this.run(
      `void (PushManager.prototype.subscribe = async (options) => (self.options = options, {
        endpoint: ${JSON.stringify(next?.endpoint)}, toJSON: () => (${JSON.stringify(next?.subscription)}),
      }))`,
    );
    return this.#happen(`new PushSubscriptionChangeEvent('pushsubscriptionchange', {})`);
  }

  /** Does the same as `loseSubscription`. @returns the requests that the service would get */
  async requestsAtLoss(next: PushDevice | undefined): Promise<string[]> {
    await this.run(`{ self.asked = []; self.fetch = async (url) => void asked.push(String(url)) }`);
    await this.loseSubscription(next);
    return this.run('asked');
  }

  /** Clicks on the notification that is shown. @returns the outcome */
  click(): Promise<string> {
    const notification = '(await registration.getNotifications())[0]';
    return this.#happen(`new NotificationEvent('notificationclick', { notification: ${notification} })`);
  }

  /** Sets whether the worker takes the windows of the page for visible: headless tabs are never hidden. */
  setVisibility(state: 'visible' | 'hidden'): Promise<void> {
    return this.run(
      `void Object.defineProperty(WindowClient.prototype, 'visibilityState', { configurable: true, get: () => '${state}' })`,
    );
  }

  /** Waits until the worker, too, no longer sees a window of the page, which was closed or left. */
  alone(): Promise<void> {
    return until(
      () => this.run<boolean>('windows().then(({ length }) => length === 0)'),
      'the window to be gone',
    );
  }

  /** Returns the shown notifications, by title. */
  shown(): Promise<Shown[]> {
    return this.run(
      `registration.getNotifications().then((all) => all.map(({ title, body }) => ({ title, body }))
        .sort((one, other) => (one.title < other.title ? -1 : 1)))`,
    );
  }
}
