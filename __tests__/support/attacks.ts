/** All ways in which a page can send something to another site, or get something from it, that need no click. */
import type { Page } from 'playwright-core';

/** The body of a function of `service`, the origin attacked, that settles with what each way came to. */
const ATTACKS = `
  const came = {};
  const attempt = async (name, run) => {
    came[name] = await run().catch(() => 'failed');
  };
  const read = async (response) => response.type === 'opaque' ? 'opaque' : response.status + ' ' + (await response.text());
  const post = (init) => fetch(service + '/messages', { method: 'POST', ...init }).then(read);
  const form = () => new URLSearchParams({ recipient: 'victim', content: 'stolen' });
  const json = '{"recipient":"victim","content":"stolen"}';
  const typed = { 'Content-Type': 'application/json' };
  const stream = service + '/stream?recipient=victim';
  const inbox = service + '/messages?recipient=victim';
  const element = (name, attributes) => new Promise((resolve) => {
    const one = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    one.onload = () => resolve('loaded');
    one.onerror = () => resolve('failed');
    setTimeout(() => resolve('nothing'), 1500);
    document.body.append(one);
  });
  const soon = (listen) => new Promise((resolve) => {
    listen(() => resolve('sent'));
    setTimeout(() => resolve('nothing'), 1500);
  });
  const events = (withCredentials) => new Promise((resolve) => {
    const source = new EventSource(stream, { withCredentials });
    source.onopen = () => resolve('open');
    source.onerror = () => resolve(source.readyState === EventSource.CLOSED ? 'closed' : 'failed');
  });
  const frame = document.createElement('iframe');
  frame.name = 'sink';
  document.body.append(frame);
  await Promise.all([
    attempt('form by fetch', () => post({ body: form() })),
    attempt('form by fetch with cookies', () => post({ body: form(), credentials: 'include' })),
    attempt('form by blind fetch', () => post({ body: form(), mode: 'no-cors', credentials: 'include' })),
    attempt('form by fetch that outlives the page', () => post({ body: form(), mode: 'no-cors', keepalive: true })),
    attempt('JSON by fetch', () => post({ body: json, headers: typed, credentials: 'include' })),
    attempt('JSON as text', () => post({ body: json, mode: 'no-cors', credentials: 'include' })),
    attempt('beacon', () => soon((done) => {
      const isBeacon = ({ initiatorType }) => initiatorType === 'beacon';
      new PerformanceObserver((list) => list.getEntries().some(isBeacon) && done()).observe({ type: 'resource' });
      navigator.sendBeacon(service + '/messages', form());
    })),
    attempt('form', () => soon((done) => {
      const one = Object.assign(document.createElement('form'), {
        method: 'post', target: 'sink', action: service + '/messages' });
      for (const [name, value] of form()) one.append(Object.assign(document.createElement('input'), { name, value }));
      document.body.append(one);
      frame.onload = done;
      one.submit();
    })),
    attempt('inbox by fetch', () => fetch(inbox, { credentials: 'include' }).then(read)),
    attempt('inbox by blind fetch', () => fetch(inbox, { mode: 'no-cors', credentials: 'include' }).then(read)),
    attempt('stream by blind fetch', () => fetch(stream, { mode: 'no-cors' }).then(read)),
    attempt('session', () => fetch(service + '/session', { method: 'DELETE', credentials: 'include' }).then(read)),
    attempt('events', () => events(false)),
    attempt('events with cookies', () => events(true)),
    attempt('picture', () => element('img', { src: stream })),
    attempt('sound', () => element('audio', { src: stream, preload: 'auto' })),
    attempt('script', () => element('script', { src: inbox })),
    attempt('style', () => element('link', { rel: 'stylesheet', href: inbox })),
    attempt('prefetch', () => element('link', { rel: 'prefetch', href: inbox })),
    attempt('frame', () => element('iframe', { src: stream })),
    attempt('object', () => element('object', { data: stream })),
    attempt('embed', () => element('embed', { src: stream })),
  ]);
  return came;
`;

/** Has a page try everything, and tells what each way came to. */
export async function attack(page: Page, service: string): Promise<Record<string, string>> {
  return page.evaluate(`(async (service) => {${ATTACKS}})(${JSON.stringify(service)})`);
}
