/** An unknown name, and the known one that is probably meant. */
export interface MisspeltName {
  readonly name: string;
  readonly nearest: string;
}

/** Shorter names are not compared: `HOSTS` and `PORTS` may belong to other programs. */
const MIN_LENGTH = 7;
const MAX_EDITS = 2;

/** Longer names cannot be misspelt known ones, and would take long to compare. */
const MAX_LENGTH = 100;

/** The variables that Kubernetes and Docker set for each service, which may be called `push` or `auth`. */
const OF_A_SERVICE = /_(SERVICE_(HOST|PORT)|PORT)(_|$)/;

/**
 * Finds names that resemble known ones. A name resembles a known one if they differ in one or two letters, in case or in
 * separators, if it is the beginning of the known one (`PUSH_DELAY`) or continues it (`AUTH_SECRET_KEY`), or if it is
 * prefixed with the name of this program. Short names of one word and names that other programs use are ignored.
 *
 * @returns each with the nearest known name, in the order of the names; empty if none resembles a known one
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
 * Finds the known name that another name probably means. The two may differ in case, in separators, and in one or two
 * letters, if these are fewer than half of the name.
 *
 * @returns the nearest; `undefined` if none resembles it
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

/** Returns the number of edits between two names (Levenshtein), or any number over `MAX_EDITS` if there are more. */
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
