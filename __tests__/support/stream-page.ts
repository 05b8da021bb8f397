/** The page of the service, as a person has it open: what it shows, and what it asks for. */
import type { BrowserContext, Page, Request } from 'playwright-core';
import { until } from './until.ts';

export class StreamPage {
  readonly page: Page;
  /** What the console and the page itself complained of. */
  readonly errors: string[] = [];
  readonly requests: Request[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('console', (line) => {
      if (line.type() === 'error' || line.type() === 'warning') this.errors.push(line.text());
    });
    page.on('pageerror', (error) => this.errors.push(error.message));
    page.on('request', (request) => this.requests.push(request));
  }

  /** Opens the page and says who one is, as a person does. */
  static async open(context: BrowserContext, url: string, recipient: string): Promise<StreamPage> {
    const opened = new StreamPage(await context.newPage());
    await opened.page.goto(url);
    await opened.page.getByLabel('I am').fill(recipient);
    await opened.page.getByRole('button', { name: 'Follow' }).click();
    return opened;
  }

  /** Opens the page and waits until its stream is live. */
  static async openLive(context: BrowserContext, url: string, recipient: string): Promise<StreamPage> {
    const opened = await StreamPage.open(context, url, recipient);
    await opened.waitForState('Live');
    return opened;
  }

  /** What the page says of its connection. */
  state(): Promise<string> {
    return this.page.locator('#state').innerText();
  }

  async waitForState(state: string): Promise<void> {
    await until(async () => (await this.state()) === state, `the page to be "${state}"`);
  }

  /** The texts of the messages in the log, in their order. */
  contents(): Promise<string[]> {
    return this.page.getByRole('log').locator('li.message .content').allTextContents();
  }

  /** The ids of all rows with this event name, in their order. */
  ids(event: string): Promise<string[]> {
    return this.page.getByRole('log').locator(`li.${event} .id`).allTextContents();
  }

  /** What the rows with this event name say, in their order. */
  texts(event: string): Promise<string[]> {
    return this.page.getByRole('log').locator(`li.${event} .content`).allTextContents();
  }

  /** Waits until a message with this content is in the log, and gives the texts of all that are there. */
  async waitForMessage(content: string): Promise<string[]> {
    await until(async () => (await this.contents()).includes(content), `the message "${content}"`);
    return this.contents();
  }

  /** Fills the form and sends it with the Enter key. */
  async send(to: string, content: string): Promise<void> {
    await this.page.getByLabel('To', { exact: true }).fill(to);
    await this.page.getByLabel('Content').fill(content);
    await this.page.getByLabel('Content').press('Enter');
  }

  /** The requests for streams, the oldest first. */
  get streamRequests(): Request[] {
    return this.requests.filter((request) => new URL(request.url()).pathname.endsWith('/stream'));
  }
}
