import { Refusal } from '../errors.ts';
import { nearestName } from '../misspelt.ts';
import { firstName } from './paths.ts';

/**
 * Returns the refusal (404) of a path that does not exist. It names the path that is probably meant, or lists all paths.
 *
 * @param path without its query
 * @param basePath the prefix of this service's paths, as clients see them
 * @param paths the paths of this service
 */
export function notFound(path: string, basePath: string, paths: readonly string[]): Refusal {
  const names = [...new Set(paths.map(firstName))];
  return new Refusal(
    'not-found',
    `There is nothing at ${JSON.stringify(path.slice(0, 100))}. ${hintFor(path, basePath, names)}`,
  );
}

function hintFor(path: string, basePath: string, names: readonly string[]): string {
  if (basePath !== '' && path.startsWith(`${basePath}/`)) {
    return `The proxy must remove ${basePath} from the path of each request.`;
  }
  const steps = path.split('/').filter((step) => step !== '');
  const [first = '', ...deeper] = steps;
  const name = first.toLowerCase();
  // A message has a path of its own: /messages/42.
  if (names.includes(name) && deeper.length <= (name === 'messages' ? 1 : 0)) {
    const right = `${basePath}/${[name, ...deeper].join('/')}`;
    if (path.includes('//')) return `The path is ${right}, with single slashes.`;
    if (path.endsWith('/')) return `The path is ${right}, without a slash at the end.`;
    return `The path is ${right}, in lower case.`;
  }
  const meant = nearestName(deeper.at(-1) ?? first, names) ?? nearestName(first, names);
  if (meant !== undefined) return `Did you mean ${basePath}/${meant}?`;
  return `The paths of this service are ${names.map((one) => `${basePath}/${one}`).join(', ')}.`;
}
