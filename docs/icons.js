/** `node docs/icons.js`: makes the icons of the installed page anew from `public/favicon.svg`, with Chromium. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const PUBLIC = join(import.meta.dirname, '../public');
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/**
 * Its rounded corners are its own, or the system cuts the shape: then its colour fills the square, and the drawing
 * stays inside the middle four fifths (W3C, Web Application Manifest, "Icon masks and safe zone").
 *
 * @type {[file: string, pixels: number, shape: 'own' | 'cut'][]}
 */
const ICONS = [
  ['icon-192.png', 192, 'own'],
  ['icon-512.png', 512, 'own'],
  ['icon-maskable-512.png', 512, 'cut'],
  ['apple-touch-icon.png', 180, 'cut'],
];

const drawing = readFileSync(join(PUBLIC, 'favicon.svg'), 'utf8');
const colour = /<rect [^>]*fill="(#\w+)"/.exec(drawing)?.[1] ?? '';
mkdirSync(join(PUBLIC, 'icons'), { recursive: true });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await browser.newPage();
for (const [file, pixels, shape] of ICONS) {
  await page.setViewportSize({ width: pixels, height: pixels });
  await page.setContent(`<style>
    html { ${shape === 'cut' ? `background: ${colour}` : ''} }
    body { margin: 0; display: grid; place-items: center; height: 100vh }
    svg { width: ${shape === 'cut' ? '80%' : '100%'} }
  </style>${drawing}`);
  await page.screenshot({ path: join(PUBLIC, 'icons', file), omitBackground: true });
}
await browser.close();
