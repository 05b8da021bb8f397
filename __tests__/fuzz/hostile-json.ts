/** JSON that JSON.stringify would not write: names twice, numbers out of range, lone surrogates, any name at any place. */
import { hostileText, INHERITED, INJECTIONS } from '../support/hostile-text.ts';
import type { Random } from '../support/random.ts';

/** Text that stands in the JSON as it is. */
class Verbatim {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object: its members in order, with each repetition of a name. */
export class Members {
  readonly list: [name: string, value: Json][];

  constructor(list: [name: string, value: Json][]) {
    this.list = list;
  }
}

export type Json = string | number | boolean | null | Verbatim | Members | Json[];

/** The text of a value. Characters that have to be escaped are, unless `random` lets one pass. */
export function writeJson(value: Json, random: Random): string {
  if (value instanceof Verbatim) return value.text;
  if (value instanceof Members) {
    const members = value.list.map(([name, one]) => `${writeText(name, random)}:${writeJson(one, random)}`);
    return `{${members.join(',')}}`;
  }
  if (Array.isArray(value)) return `[${value.map((one) => writeJson(one, random)).join(',')}]`;
  return typeof value === 'string' ? writeText(value, random) : JSON.stringify(value);
}

function writeText(text: string, random: Random): string {
  if (random.chance(0.01)) return `"${text}"`;
  if (random.chance(0.95)) return JSON.stringify(text);
  const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
}

const NUMBERS = [
  '0',
  '-0',
  '-1',
  '1.5',
  '1e400',
  '-1e400',
  '1e-400',
  '9007199254740993',
  '123456789012345678901234567890',
  '4294967296',
  '31536001',
  '01',
  '1.',
  'NaN',
  '0x10',
] as const;

/** Any value. */
export function hostileJson(random: Random, depth = 0): Json {
  switch (random.integer(0, depth > 4 ? 3 : 6)) {
    case 0:
      return new Verbatim(random.pick(NUMBERS));
    case 1:
      return random.pick([true, false, null, '']);
    case 2:
    case 3:
      return hostileText(random);
    case 4:
      return nested(random);
    case 5:
      return Array.from({ length: random.integer(0, 4) }, () => hostileJson(random, depth + 1));
    default:
      return new Members(
        Array.from({ length: random.integer(0, 4) }, () => [
          random.pick([...INHERITED, hostileText(random), 'type', 'id']),
          hostileJson(random, depth + 1),
        ]),
      );
  }
}

/** As deep as the service takes, one deeper, or far deeper than a stack. */
export function nested(random: Random): Verbatim {
  const depth = random.pick([10, 499, 500, 501, 3000, 100_000]);
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['{"__proto__":', '}'],
    ['[{"toJSON":', '}]'],
  ]);
  return new Verbatim(open.repeat(depth) + '0' + close.repeat(depth));
}

/** As many values as the service takes, one more, or far more, of which each is short; of objects, with a name twice. */
export function crowded(random: Random): Verbatim {
  const count = random.pick([100, 49_990, 50_000, 500_000]);
  const item = random.pick(['1', '[]', '{}', '"a"', '{"a":1}', '{"a":1,"\\u0061":2}', '1e400', '"\\ud800"']);
  return new Verbatim(`[${Array<string>(count).fill(item).join()}]`);
}

/** A value that is stored: well-formed, shallow, and full of what must not get out of its line. */
export function harmlessJson(random: Random, depth = 0): Json {
  switch (random.integer(0, depth > 3 ? 1 : 3)) {
    case 0:
      return random.integer(-1000, 1000);
    case 1:
      return (random.pick(INJECTIONS) + random.pick(INJECTIONS)).slice(0, 500);
    case 2:
      return Array.from({ length: random.integer(0, 3) }, () => harmlessJson(random, depth + 1));
    default:
      return new Members(
        [...new Set(Array.from({ length: random.integer(0, 3) }, () => random.pick(INHERITED)))].map(
          (name) => [random.chance(0.3) ? `${name}\n\ndata: x` : name, harmlessJson(random, depth + 1)],
        ),
      );
  }
}

/** Bytes with a few of them changed, moved, doubled or missing. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  let mutated = Buffer.from(bytes);
  for (let times = random.integer(1, 4); times > 0; times--) {
    const at = random.integer(0, mutated.length);
    const to = Math.min(mutated.length, at + random.integer(1, 12));
    const [head, middle, tail] = [mutated.subarray(0, at), mutated.subarray(at, to), mutated.subarray(to)];
    const noise = Buffer.from(Array.from({ length: random.integer(1, 4) }, () => random.integer(0, 255)));
    mutated = Buffer.concat(
      random.pick([
        [head, tail],
        [head, noise, middle, tail],
        [head, noise, tail],
        [head, middle, middle, tail],
        [tail, middle, head],
        [head, Buffer.from(random.pick(INJECTIONS)), tail],
        [head],
      ]),
    );
  }
  return mutated;
}
