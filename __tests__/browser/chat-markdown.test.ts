import { expect, test } from '@jest/globals';
import type { Locator } from 'playwright-core';
import { send } from '../support/api.ts';
import { describeInBrowser } from '../support/browser.ts';
import { ChatPage } from '../support/chat-page.ts';
import { until } from '../support/until.ts';
import { withFreshPages, withServer } from '../support/with-browser.ts';

describeInBrowser('the markup of messages', () => {
  const browser = withFreshPages();
  const server = withServer();

  const open = async (name: string, peer: string, width = 320): Promise<ChatPage> => {
    const context = await browser.newContext({ viewport: { width, height: 640 } });
    return ChatPage.open(context, server.url, name, { peer });
  };

  /** Sends a message to somebody who has the conversation open, and returns its element there. */
  const shown = async (page: ChatPage, name: string, content: string): Promise<Locator> => {
    const before = await page.log.locator('.text').count();
    await send(server.url, name, content, { sender: 'bob' });
    await until(async () => (await page.log.locator('.text').count()) > before);
    return page.log.locator('.text').last();
  };

  /** Returns an element as HTML, without the attributes that only concern its style. */
  const htmlOf = async (element: Locator): Promise<string> =>
    (await element.innerHTML()).replaceAll(/ (dir|tabindex|target|rel)="[^"]*"/g, '');

  test('markup becomes elements, and text that only looks like markup is shown as it was written', async () => {
    const alice = await open('alice', 'bob', 1024);
    for (const [content, html] of [
      ['**b** *i* ~~s~~ `c  d`', '<strong>b</strong> <em>i</em> <del>s</del> <code>c  d</code>'],
      ['at www.a.example/b_(c)!', 'at <a href="https://www.a.example/b_(c)">www.a.example/b_(c)</a>!'],
      ['[pay](https://evil.example/)', '[pay](<a href="https://evil.example/">https://evil.example/</a>)'],
      [
        'do:\n- a\n  3) b\n- <i>',
        '<p>do:</p><ul><li>a<ol data-sign=")"><li value="3">b</li></ol></li><li>&lt;i&gt;</li></ul>',
      ],
      ['> a\n>\n> - b\nno', '<blockquote><p>a</p><ul><li>b</li></ul></blockquote><p>no</p>'],
      [
        '```js\n<b>\n\n  \tx\n```',
        '<pre class="code"><span class="language">js</span><code>&lt;b&gt;\n\n  \tx</code></pre>',
      ],
      ['# a\n<img src=x>\n---\n|a|\n2*3*4 <b>', '# a\n&lt;img src=x&gt;\n---\n|a|\n2*3*4 &lt;b&gt;'],
      ['  two\n\n\n    four ', '  two\n\n\n    four '],
    ] as const) {
      expect(await htmlOf(await shown(alice, 'alice', content))).toBe(html);
    }
    expect(await alice.row('bob').locator('.last').textContent()).toBe('  two\n\n\n    four ');
    expect(alice.errors).toEqual([]);
    expect(alice.strayRequests(server.url)).toEqual([]);
  });

  test('markup stays within the bubble on a small screen, and code scrolls there, with the keyboard too', async () => {
    const carol = await open('carol', 'bob');
    const line = `const ${'long'.repeat(100)} = 1;`;
    const list = Array.from({ length: 9 }, (_, depth) => `${'  '.repeat(depth)}- ${line}`).join('\n');
    for (const content of [`> > > ${line}`, list, `999. \`${line}\``, `- \`\`\`\n  ${line}\n  \`\`\``]) {
      const text = await shown(carol, 'carol', content);
      expect(await overflowOf(text)).toEqual([0, 0]);
    }
    const text = await shown(carol, 'carol', `שלום\n\`\`\`\n  ${line}\nb\n\`\`\``);
    expect(await overflowOf(text)).toEqual([0, 0]);
    const code = text.locator('pre');
    const { whiteSpace, direction, ...measures } = await code.evaluate((element: Element) => {
      const style = getComputedStyle(element);
      return {
        whiteSpace: style.whiteSpace,
        direction: style.direction,
        width: element.clientWidth,
        inside: element.scrollWidth,
      };
    });
    expect([whiteSpace, direction]).toEqual(['pre', 'ltr']);
    expect(measures.inside).toBeGreaterThan(measures.width);
    expect(await text.locator('p').evaluate((element: Element) => getComputedStyle(element).direction)).toBe(
      'rtl',
    );
    await code.focus();
    await carol.page.keyboard.press('ArrowRight');
    await until(() => code.evaluate((element: Element) => element.scrollLeft > 0));
  });

  test('a long message is cut between letters and not inside a link, and is shown in full on request', async () => {
    const dora = await open('dora', 'bob');
    const family = '👩‍👩‍👧‍👦';
    for (const [content, end] of [
      [`${'x'.repeat(1995)}${family.repeat(3)}`, 'x…'],
      [`\`\`\`\n${'a  b\n'.repeat(500)}\`\`\`\nend`, 'b\na…'],
      [`${'x '.repeat(990)}https://a.example/${'y'.repeat(50)}`, 'https://a.example/yy…'],
    ] as const) {
      const text = await shown(dora, 'dora', content);
      const more = text.getByRole('button', { name: `Show all ${content.length} characters` });
      const cut = (await text.textContent()) ?? '';
      expect(cut.slice(0, cut.lastIndexOf('…') + 1).endsWith(end)).toBe(true);
      expect(await text.getByRole('link').count()).toBe(0);
      expect(await text.locator('pre').count()).toBe(content.startsWith('`') ? 1 : 0);
      await more.click();
      expect(await text.textContent()).toBe(content.replaceAll(/```\n|\n```\n/g, ''));
      expect(await text.getByRole('link').count()).toBe(content.includes('https') ? 1 : 0);
    }
  });

  test('a message of at most three emoji is shown large', async () => {
    const emil = await open('emil', 'bob');
    const sizeOf = async (content: string): Promise<number> =>
      (await shown(emil, 'emil', content)).evaluate((text: Element) =>
        Number.parseFloat(getComputedStyle(text).fontSize),
      );
    const usual = await sizeOf('a word');
    for (const content of ['👩‍👩‍👧‍👦', '🇩🇪👍🏽7️⃣']) expect(await sizeOf(content)).toBeGreaterThan(2 * usual);
    for (const content of ['👍👍👍👍', '7', '#', '👍 yes']) expect(await sizeOf(content)).toBe(usual);
  });

  test('the sign of a name is its first letter, as people count letters', async () => {
    const signs = new Map([
      ['🇩🇪 team', '🇩🇪'],
      ['👍🏽up', '👍🏽'],
      ['q\u0303ann', 'q\u0303'],
    ]);
    const fred = await open('fred', 'bob', 1024);
    for (const sender of signs.keys()) await send(server.url, 'fred', 'hi', { sender });
    for (const [name, sign] of signs) {
      await fred.row(name).waitFor();
      expect(await fred.row(name).locator('.avatar').textContent()).toBe(sign);
    }
  });

  test('a message is sent with the indentation it was typed with, and spaces alone are not sent', async () => {
    const gina = await open('gina', 'bob');
    await gina.send('  \n   ');
    await gina.send('    indented\n\n\tmore');
    await gina.shows('    indented\n\n\tmore');
  });
});

/** Returns how far a message, and the page, reach beyond their right or left end. */
const overflowOf = (text: Locator): Promise<number[]> =>
  text.evaluate((element: Element) => {
    const bubble = element.closest('.bubble');
    return [
      bubble.scrollWidth - bubble.clientWidth,
      document.documentElement.scrollWidth - document.documentElement.clientWidth,
    ];
  });

/** For code that runs in the page: the browser has the real one. */
interface Element {
  readonly clientWidth: number;
  readonly scrollWidth: number;
  readonly scrollLeft: number;
  closest: (selector: string) => Element;
}
declare const document: { documentElement: Element };
declare const getComputedStyle: (element: Element) => {
  whiteSpace: string;
  direction: string;
  fontSize: string;
};
