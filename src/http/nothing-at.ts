import { Refusal } from '../errors.ts';
import { nearestName } from '../misspelt.ts';

/** What stands behind the first slash of each path of the service, besides the files of the pages. */
const NAMES = [
  'messages',
  'stream',
  'ws',
  'conversations',
  'presence',
  'push-key',
  'push-subscriptions',
  'session',
  'healthz',
  'readyz',
  'metrics',
];

/**
 * Returns the refusal (404) of a path at which there is nothing. It says which path is probably meant, or which there are.
 *
 * @param path without its query
 * @param basePath what stands before the paths of this service where clients reach it
 */
export function nothingAt(path: string, basePath: string): Refusal {
  return new Refusal(
    'not-found',
    `There is nothing at ${JSON.stringify(path.slice(0, 100))}. ${hintFor(path, basePath)}`,
  );
}

function hintFor(path: string, basePath: string): string {
  if (basePath !== '' && path.startsWith(`${basePath}/`)) {
    return `The proxy must take ${basePath} off the path of each request that it passes on.`;
  }
  const steps = path.split('/').filter((step) => step !== '');
  const [first = '', ...deeper] = steps;
  const name = first.toLowerCase();
  // A message has a path of its own: /messages/42.
  if (NAMES.includes(name) && deeper.length <= (name === 'messages' ? 1 : 0)) {
    const right = `${basePath}/${[name, ...deeper].join('/')}`;
    if (path.includes('//')) return `The path is ${right}, with single slashes.`;
    if (path.endsWith('/')) return `The path is ${right}, without a slash at the end.`;
    return `The path is ${right}, in lower case.`;
  }
  const meant = nearestName(deeper.at(-1) ?? first, NAMES) ?? nearestName(first, NAMES);
  if (meant !== undefined) return `Did you mean ${basePath}/${meant}?`;
  return `The paths of this service are ${NAMES.map((one) => `${basePath}/${one}`).join(', ')}.`;
}
