/** The programs of docs/guide.md, each run as it is written there. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { publish } from '../support/api.ts';
import { describeInBrowser, launchBrowser } from '../support/browser.ts';
import { freePorts } from '../support/free-ports.ts';
import { cleanUp, newFolder, Server, undoAtEnd } from '../support/server.ts';
import { bearer, SECRET, tokenFor } from '../support/tokens.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');

/** The files of the guide, by the name in their first line. */
const FILES = new Map(
  [
    ...readFileSync(join(ROOT, 'docs/guide.md'), 'utf8').matchAll(/```\w+\n(\W+([\w.]+)[^\n]*\n.*?)```/gs),
  ].map(([, text = '', name = '']) => [name, text]),
);

describeInBrowser('the guide', () => {
  let browser: Browser;
  let server: Server;
  let folder: string;
  let port: number;
  let env: Record<string, string>;

  beforeAll(async () => {
    [port = 0] = await freePorts(1);
    const origins = { AUTH_SECRET: SECRET, CORS_ORIGINS: `http://localhost:${port}` };
    [browser, server] = await Promise.all([launchBrowser(), Server.start({ env: origins })]);
    env = { AUTH_SECRET: SECRET, PUSH_URL: server.url, PORT: String(port) };
    folder = newFolder();
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(join(ROOT, 'node_modules/jose'), join(folder, 'node_modules/jose'));
    symlinkSync(join(ROOT, 'public'), join(folder, 'node_modules/tidings-client'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    // A reader changes only the address of the service.
    for (const [name, text] of FILES)
      writeFileSync(join(folder, name), text.replaceAll('http://127.0.0.1:7070', server.url));
  });
  afterAll(async () => {
    await (browser as Browser | undefined)?.close();
    await cleanUp();
  });

  function run(command: string, file: string): ChildProcess & { said: () => string } {
    const child = spawn(command, [file], { cwd: folder, env: { ...process.env, ...env } });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    undoAtEnd(() => child.kill('SIGKILL'));
    return Object.assign(child, { said: () => said });
  }

  async function logIn(page: Page, name: string, password: string): Promise<void> {
    await page.fill('[name=name]', name);
    await page.fill('[name=password]', password);
    await page.click('#log-in button');
  }

  const state = (page: Page): Promise<string> => page.innerText('#state');
  const items = (page: Page): Promise<string[]> => page.locator('#messages li').allInnerTexts();
  const post = (page: Page, order: number): Promise<number> =>
    page.evaluate(
      (body) => fetch('/orders', { method: 'POST', body }).then(({ status }) => status),
      JSON.stringify({ order }),
    );

  test('a person logs in, gets messages, and logs out in all tabs with the back end and the page of the guide', async () => {
    const backend = run(process.execPath, 'backend.js');
    await until(() => backend.said().includes('http://localhost'), 'the back end');
    const context = await browser.newContext();
    const [one, two] = [await context.newPage(), await context.newPage()];
    await one.goto(`http://localhost:${port}/`);
    await logIn(one, 'alice', 'wrong');
    await until(async () => (await one.innerText('#wrong')).includes('do not match'), 'the refusal');
    await logIn(one, 'alice', 'a password');
    await until(async () => (await state(one)) === 'live', 'the first tab');
    await two.goto(`http://localhost:${port}/`);
    await until(async () => (await state(two)) === 'live', 'the second tab');
    expect([await post(one, 17), await post(two, 17), await post(one, 18)]).toEqual([200, 200, 200]);
    for (const page of [one, two]) {
      await until(async () => (await items(page)).length === 2, 'both messages');
      expect(await items(page)).toEqual(['shop: Order 17 is paid.', 'shop: Order 18 is paid.']);
    }
    await one.fill('[name=text]', 'Where is it?');
    await one.click('#ask button');
    for (const page of [one, two])
      await until(async () => (await items(page)).includes('alice: Where is it?'), 'what one has sent');
    await two.reload();
    await until(async () => (await items(two)).length === 3, 'the messages of before');
    expect(await items(two)).toEqual(await items(one));
    const python = run('python3', 'push.py');
    await once(python, 'close');
    expect(python.said()).toContain("'content': 'from Python'");
    await until(async () => (await items(two)).includes('shop: from Python'), 'the message from Python');
    await two.click('#log-out');
    for (const page of [one, two]) await until(() => page.isVisible('#log-in'), 'the log-in');
    expect(await one.evaluate('Object.keys(localStorage)')).toEqual([]);
    await context.close();
    backend.kill('SIGKILL');
    await once(backend, 'close');
  });

  test('a page shows the answer of a language model as it is written, and goes on after a reload', async () => {
    const [backend, assistant] = [run(process.execPath, 'backend.js'), run(process.execPath, 'assistant.js')];
    await until(() => backend.said().includes('http://localhost'), 'the back end');
    await until(() => assistant.said().includes('live'), 'the assistant');
    const context = await browser.newContext();
    const page = await context.newPage();
    const texts: string[] = [];
    await page.exposeFunction('seen', (text: string) => void texts.push(text));
    // Every text that the page shows, at each change.
    await page.addInitScript(`new MutationObserver(() => {
      const text = document.querySelector('#turns p:last-child')?.textContent;
      if (text) seen(text);
    }).observe(document, { subtree: true, childList: true, characterData: true });`);
    await page.goto(`http://localhost:${port}/`);
    await logIn(page, 'bob', 'b password');
    await until(async () => (await state(page)) === 'live', 'the log-in');
    await page.goto(`http://localhost:${port}/assistant`);
    await until(async () => (await state(page)) === 'live', 'the page of the assistant');
    const ask = async (question: string): Promise<string> => {
      texts.length = 0;
      await page.fill('[name=question]', question);
      await page.click('#ask button');
      const beginning = `You asked: ${question} `;
      await until(() => texts.at(-1)?.startsWith(`${beginning}Here`) === true, 'the beginning of the answer');
      return beginning + 'Here a model writes its answer, word by word. '.repeat(5);
    };
    const stored = async (type: string): Promise<unknown[]> => {
      const url = `${server.url}/messages?between=bob&between=assistant&limit=1000`;
      const answer = await fetch(url, { headers: bearer(await tokenFor('bob')) });
      const { messages } = (await answer.json()) as { messages: { sender: string; type: string }[] };
      return messages.filter((message) => message.sender === 'assistant' && message.type === type);
    };

    const answer = await ask('Why?');
    const before = texts.at(-1) ?? '';
    texts.length = 0;
    await page.reload();
    await until(() => texts.at(-1) === answer, 'the whole answer');
    // The text from before the reload is shown at once, and the rest arrives in parts.
    expect(texts[0]?.startsWith(before)).toBe(true);
    expect(
      texts.every((text, index) => answer.startsWith(text) && text.startsWith(texts[index - 1] ?? '')),
    ).toBe(true);
    expect(new Set(texts).size).toBeGreaterThan(2);
    expect((await stored('answer.part')).length).toBeGreaterThan(2);

    const second = await ask('And if you are killed?');
    assistant.kill('SIGKILL');
    await once(assistant, 'close');
    const again = run(process.execPath, 'assistant.js');
    await until(() => texts.at(-1) === second, 'the answer of the next run');
    await page.reload();
    await until(async () => (await page.locator('#turns p').count()) === 2, 'the history');
    expect(await page.locator('#turns h2').allInnerTexts()).toEqual(['Why?', 'And if you are killed?']);
    expect(await page.locator('#turns p').allTextContents()).toEqual([answer, second]);
    expect((await stored('message')).length).toBe(2);
    for (const program of [assistant, again]) expect(program.said()).not.toMatch(/error|no answer/i);
    for (const program of [backend, again]) {
      program.kill('SIGKILL');
      await once(program, 'close');
    }
    await context.close();
  });

  test.each([
    ['worker.js', process.execPath],
    ['worker.py', 'python3'],
  ])(
    'the worker of the guide (%s) does each job, even those that came while it was killed',
    async (file, command) => {
      const headers = bearer(await tokenFor('shop', { sendTo: ['*'] }));
      let order = 0;
      const sendJobs = async (count: number): Promise<void> => {
        for (let end = order + count; order < end; order++) {
          const job = { recipient: 'jobs', content: { order } };
          expect((await publish(server.url, job, headers)).status).toBe(201);
        }
      };
      const read = (name: string): string => {
        try {
          return readFileSync(join(folder, name), 'utf8');
        } catch {
          return '';
        }
      };
      const shipped = (): number[] =>
        read('shipped.txt')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => Number(line.split(' ')[1]));
      for (const name of ['shipped.txt', 'done.json']) rmSync(join(folder, name), { force: true });
      let worker = run(command, file);
      await until(
        () => read('done.json').includes('"cursor"') && !read('done.json').includes('null'),
        'its position',
      );
      // It is killed before its first job, and in the middle of others.
      worker.kill('SIGKILL');
      await once(worker, 'close');
      await sendJobs(20);
      for (const count of [5, 15]) {
        worker = run(command, file);
        await until(() => shipped().length >= count, `${count} jobs`);
        worker.kill('SIGKILL');
        await once(worker, 'close');
      }
      await sendJobs(5);
      worker = run(command, file);
      await until(() => new Set(shipped()).size === 25, 'all jobs');
      await sendJobs(1);
      await until(() => shipped().at(-1) === 25, 'the last job');
      // The job during which the worker was killed may be done again; the order is the log's.
      expect(shipped().length).toBeLessThanOrEqual(28);
      expect([...new Set(shipped())]).toEqual(Array.from({ length: 26 }, (_, index) => index));
      expect(worker.said()).not.toMatch(/error|traceback/i);
    },
  );
});
