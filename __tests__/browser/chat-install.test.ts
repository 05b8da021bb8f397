import { expect, test } from '@jest/globals';
import { describeInBrowser, launchChromium } from '../support/browser.ts';
import { withBrowser, withServer } from '../support/with-browser.ts';

interface Manifest {
  readonly start_url: string;
  readonly icons: readonly { readonly src: string; readonly sizes: string; readonly type: string }[];
}

/** Returns the size of a PNG, which is in its first chunk (W3C PNG §11.2.1). */
function sizeOf(png: Buffer): string {
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  return `${png.readUInt32BE(16)}x${png.readUInt32BE(20)}`;
}

describeInBrowser('the page, put on a home screen', () => {
  const browser = withBrowser(launchChromium);
  const server = withServer();

  test('the page has everything that a browser wants of a page on a home screen', async () => {
    const page = await browser.newPage();
    await page.goto(server.url);
    const debug = await page.context().newCDPSession(page);
    const { url, errors } = await debug.send('Page.getAppManifest');
    expect([url, errors]).toEqual([`${server.url}/manifest.webmanifest`, []]);
    const { installabilityErrors } = await debug.send('Page.getInstallabilityErrors');
    // The only complaint is about the test's window, which stores nothing.
    expect(installabilityErrors.map(({ errorId }) => errorId)).toEqual(['in-incognito']);
  });

  test('the page has icons of the sizes in its manifest, and its start URL is the URL of the service', async () => {
    const answer = await fetch(`${server.url}/manifest.webmanifest`);
    expect(answer.headers.get('content-type')).toMatch(/^application\/manifest\+json/);
    const { start_url, icons } = (await answer.json()) as Manifest;
    expect(new URL(start_url, answer.url).href).toBe(`${server.url}/`);
    const pngs = icons.filter(({ type }) => type === 'image/png').map(({ src, sizes }) => [src, sizes]);
    expect(pngs).toHaveLength(3);
    for (const [src, sizes] of [...pngs, ['icons/apple-touch-icon.png', '180x180']]) {
      const icon = await fetch(new URL(src ?? '', answer.url));
      expect(icon.headers.get('content-type')).toBe('image/png');
      expect(sizeOf(Buffer.from(await icon.arrayBuffer()))).toBe(sizes);
    }
  });
});
