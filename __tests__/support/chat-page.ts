/** The chat page as a person has it open: what it shows, and what it requests. */
import type { BrowserContext, Locator, Page, Request } from 'playwright-core';
import { until } from './until.ts';

/** For code that runs in the page: the browser has the real one. */
declare const document: {
  hasFocus: () => boolean;
  dispatchEvent: (event: Event) => boolean;
};
declare const requestAnimationFrame: (callback: (time: number) => void) => number;

export interface Opened {
  /** The other person, whose conversation is opened with the page. */
  readonly peer?: string;
}

export class ChatPage {
  readonly page: Page;
  readonly requests: Request[] = [];
  /** The complaints of the console and the page, except about requests that failed. */
  readonly errors: string[] = [];
  readonly log: Locator;
  readonly banner: Locator;

  constructor(page: Page) {
    this.page = page;
    this.log = page.getByRole('log');
    this.banner = page.locator('#banner');
    page.on('console', (line) => {
      const isComplaint = line.type() === 'error' || line.type() === 'warning';
      if (isComplaint && !line.text().startsWith('Failed to load resource')) this.errors.push(line.text());
    });
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('request', (request) => this.requests.push(request));
    page.on('dialog', (dialog) => {
      this.errors.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  /** Opens the page of a service without a key, signs in and waits until it is live. */
  static async open(
    context: BrowserContext,
    url: string,
    name: string,
    { peer }: Opened = {},
  ): Promise<ChatPage> {
    const opened = new ChatPage(await context.newPage());
    await opened.page.goto(peer === undefined ? url : `${url}/#${encodeURIComponent(peer)}`);
    const field = opened.page.getByLabel('Your name');
    const frames = opened.page.getByRole('button', { name: 'Frames', exact: true });
    await field.or(frames).waitFor();
    if (await field.isVisible()) {
      await field.fill(name);
      await field.press('Enter');
    }
    await opened.live();
    return opened;
  }

  /** Opens the page with a session of this token. */
  static async openWithToken(context: BrowserContext, url: string, token: string): Promise<ChatPage> {
    const opened = new ChatPage(await context.newPage());
    await opened.page.goto(url);
    await opened.page.getByLabel('Your token').fill(token);
    await opened.page.getByRole('button', { name: 'Sign in' }).click();
    await opened.live();
    return opened;
  }

  live(): Promise<void> {
    return this.state('live');
  }

  async state(state: string): Promise<void> {
    await until(
      async () => (await this.banner.getAttribute('data-state')) === state,
      `the page to be ${state}`,
    );
  }

  /** Waits until the page has drawn all changes, which it does with the next frame. */
  async drawn(): Promise<void> {
    await this.page.evaluate(
      () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
    );
  }

  /** Finds somebody by the search field, and opens the conversation. */
  async turnTo(peer: string): Promise<void> {
    await this.page.getByLabel('Search, or a name').fill(peer);
    await this.page.getByLabel('Search, or a name').press('Enter');
    await this.page.getByRole('heading', { name: peer, exact: true }).waitFor();
  }

  async send(text: string): Promise<void> {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.getByLabel('Message', { exact: true }).press('Enter');
  }

  /** Goes to the newest message from the first unread one, at which a conversation is opened. */
  async toNewest(): Promise<void> {
    await this.page.getByRole('button', { name: /^(\d+ new|Jump to newest)$/ }).click();
  }

  /** Returns the texts of the messages that are shown, in order. */
  texts(): Promise<string[]> {
    return this.log.locator('.message :is(.text, .json)').allTextContents();
  }

  /** Waits until exactly these messages are shown. */
  async shows(...texts: string[]): Promise<void> {
    let last: string[] = [];
    try {
      await until(async () => {
        last = await this.texts();
        return JSON.stringify(last) === JSON.stringify(texts);
      });
    } catch (error) {
      throw new Error(`not ${JSON.stringify(texts)}, but ${JSON.stringify(last)}`, { cause: error });
    }
  }

  /** Returns the person's own message with this text. */
  own(text: string): Locator {
    const content = this.page.locator('.text, .json', { hasText: new RegExp(`^${escaped(text)}$`) });
    return this.log.locator('.message.mine').filter({ has: content });
  }

  /** Waits until one of the person's own messages is in a state: `waiting`, `stored`, `read` or `refused`. */
  async isIn(state: string, text: string): Promise<void> {
    const sign = this.own(text).locator('.state');
    await until(async () => (await sign.getAttribute('data-state')) === state, `"${text}" to be ${state}`);
  }

  /** Returns somebody's row in the list of conversations. */
  row(peer: string): Locator {
    return this.page
      .getByRole('navigation')
      .getByRole('listitem')
      .filter({ has: this.page.locator('.name', { hasText: new RegExp(`^${escaped(peer)}$`) }) });
  }

  /** Returns the names in the list, in order. */
  names(): Promise<string[]> {
    return this.page.getByRole('navigation').locator('.name').allTextContents();
  }

  /** Waits until the list says that this many of somebody's messages are unread. */
  async unread(peer: string, count: number): Promise<void> {
    const badge = this.row(peer).locator('.badge');
    await until(
      async () =>
        (await this.row(peer).count()) === 1 &&
        ((await badge.isVisible()) ? Number(await badge.innerText()) : 0) === count,
      `${count} unread of ${peer}`,
    );
  }

  /** Waits until the window's title is this. */
  async title(title: string): Promise<void> {
    await until(async () => (await this.page.title()) === title, `the title ${title}`);
  }

  /** Tells the page that its tab is hidden, or shown again. */
  async setHidden(hidden: boolean): Promise<void> {
    await this.page.evaluate((isHidden) => {
      Object.defineProperty(document, 'visibilityState', {
        configurable: true,
        get: () => (isHidden ? 'hidden' : 'visible'),
      });
      document.hasFocus = () => !isHidden;
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
    }, hidden);
  }

  /**
   * Waits until the stream that tells of somebody's presence is live. The page opens the stream again for
   * that, and messages that are not stored would be lost meanwhile.
   */
  async watches(peer: string): Promise<void> {
    const told = this.page.locator('#frames-list [data-event="presence"]', {
      hasText: `"recipient": "${peer}"`,
    });
    await told.locator('~ [data-event="live"]').first().waitFor({ state: 'attached' });
  }

  /**
   * Replaces the page's session by one of this token, and makes it open the stream again. Sets the cookie,
   * since a request may take longer than the session lasts.
   */
  async changeSession(token: string): Promise<void> {
    const url = new URL(this.page.url()).origin;
    await this.page
      .context()
      .addCookies([{ name: 'tidings', value: token, url, httpOnly: true, sameSite: 'Strict' }]);
    await this.connectAnew();
  }

  /**
   * Makes the page reconnect at once. Its own next try may be half a minute away: the longer the service was
   * gone, the longer it takes.
   */
  async connectAnew(): Promise<void> {
    await this.page.evaluate(`void dispatchEvent(new Event('online'))`);
  }

  /** Returns the requests that did not go to this origin. */
  strayRequests(origin: string): string[] {
    return this.requests.map((request) => request.url()).filter((url) => new URL(url).origin !== origin);
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
