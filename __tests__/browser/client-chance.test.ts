import { expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrowserContext } from 'playwright-core';
import { send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ClientTab, type Visit } from '../support/client-tab.ts';
import { type Random, withRandom } from '../support/random.ts';
import { withBrowser, withServer } from '../support/with-browser.ts';

const MAX_TABS = 5;
const STEPS = 25;
const OPTIONS = { recipient: 'bob', cursor: undefined };

describeInBrowser('tabs that come and go under load', () => {
  const browser = withBrowser();
  const server = withServer();

  /** Opens, closes, reloads or crashes a tab. */
  async function step(random: Random, context: BrowserContext, tabs: ClientTab[]): Promise<ClientTab[]> {
    const tab = random.pick(tabs);
    const others = tabs.filter((one) => one !== tab);
    const what = random.next();
    if (tabs.length < 2 || (what < 0.3 && tabs.length < MAX_TABS)) {
      const opened = await ClientTab.open(context, server.url);
      await opened.connect(OPTIONS);
      return [...tabs, opened];
    }
    if (what < 0.6) {
      await tab.reload(OPTIONS);
      return tabs;
    }
    if (what < 0.75) {
      await tab.crash();
      await tab.close();
      return others;
    }
    if (what < 0.9) {
      await tab.close();
      return others;
    }
    // As a page does that follows other inboxes from now on.
    await tab.run('connection.close()');
    await tab.close();
    return others;
  }

  test('tabs that come and go are each told everything from their beginning to their end, once and in order, and all of it together', async () => {
    await withRandom(async (random) => {
      const context = await browser.newContext();
      const over = new AbortController();
      let newest = 0;
      const publisher = (async () => {
        while (!over.signal.aborted) {
          newest = (await send(server.url, 'bob', newest)).id;
          await sleep(5);
        }
      })();
      const all = new Set<ClientTab>();
      let tabs = [await ClientTab.live(context, server.url, OPTIONS)];
      for (let steps = 0; steps < STEPS; steps++) {
        tabs.forEach((tab) => all.add(tab));
        tabs = await step(random, context, tabs);
        await sleep(random.integer(0, 150));
      }
      tabs.forEach((tab) => all.add(tab));
      over.abort();
      await publisher;
      for (const tab of tabs) await tab.waitForMessage(newest - 1);

      const visits = [...all].flatMap(({ visits }) => visits);
      const told = new Set<number>();
      for (const visit of visits) {
        expect(visit.ids).toEqual(consecutive(visit));
        expect(visit.gap).toEqual([]);
        for (const id of visit.ids) told.add(id);
      }
      const first = Math.min(...told);
      expect([...told].sort((one, other) => one - other)).toEqual(range(first, newest));
      expect(newest - first).toBeGreaterThan(100);
      await context.close();
    });
  });
});

/**
 * Returns the ids that a visit must be told: all from its first position to the last one that it was told.
 */
function consecutive({ start, ids }: Visit): number[] {
  const first = start === undefined ? (ids[0] ?? 1) : Number.parseInt(start, 10) + 1;
  return range(first, ids.at(-1) ?? first - 1);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
