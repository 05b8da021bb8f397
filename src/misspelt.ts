/** A name that is not known, and the known one that is probably meant. */
export interface MisspeltName {
  readonly name: string;
  readonly nearest: string;
}

/** Names of two words or more, and longer ones: `HOSTS` and `PORTS` may be anybody's. */
const MIN_LENGTH = 7;
const MAX_EDITS = 2;

/** What is longer is no slip of a known name, and takes long to compare. */
const MAX_LENGTH = 100;

/** What Kubernetes and Docker set for each service, one of which may be called `push` or `auth`. */
const OF_A_SERVICE = /_(SERVICE_(HOST|PORT)|PORT)(_|$)/;

/**
 * Finds names that are near known ones: with other letters or signs in one or two places, with another case or separator,
 * the beginning of a known one (`PUSH_DELAY`), or one that goes on (`AUTH_SECRET_KEY`), or with this program's name before
 * it. Names of one short word, and those that others use, are let alone.
 *
 * @returns each with the nearest, in the order of the names; empty if all are known or far off
 */
export function misspelt(names: readonly string[], known: readonly string[]): readonly MisspeltName[] {
  return names
    .filter((name) => !known.includes(name) && !OF_A_SERVICE.test(name))
    .flatMap((name) => {
      const nearest = nearestOf(name, known);
      return nearest === undefined ? [] : [{ name, nearest }];
    });
}

/**
 * Finds the known name that is probably meant by another one: the same with another case or separator, or with other
 * letters in one or two places, fewer than half of them.
 *
 * @returns the nearest; `undefined` if none is near
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  const plain = plainForm(name);
  const [near] = known
    .map((one) => ({ one, edits: editsBetween(plain, plainForm(one)) }))
    .filter(({ edits }) => edits <= MAX_EDITS && 2 * edits < plain.length)
    .sort((a, b) => a.edits - b.edits);
  return near?.one;
}

function nearestOf(name: string, known: readonly string[]): string | undefined {
  const plain = plainForm(name);
  const compound = known.filter((one) => one.includes('_'));
  const prefixed = compound.find((one) => plainForm(one) === plain || `TIDINGS${plainForm(one)}` === plain);
  if (prefixed !== undefined) return prefixed;
  if (plain.length < MIN_LENGTH) return undefined;
  const near = nearestName(name, known);
  if (near !== undefined) return near;
  if (!name.includes('_')) return undefined;
  return compound.find((one) => one.startsWith(name) || name.startsWith(`${one}_`));
}

function plainForm(name: string): string {
  return name.toUpperCase().replaceAll(/[_.-]/g, '');
}

/** The fewest letters to add, take away or replace (Levenshtein), or more than `MAX_EDITS` if they are many. */
function editsBetween(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > MAX_EDITS) return Infinity;
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
