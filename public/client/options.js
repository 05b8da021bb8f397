import { baseUrl } from './environment.js';

/** @import { Options } from './connect.js' */

/**
 * The rule of an option: a description, a test, and whether the option is required.
 *
 * @typedef {readonly [string, (value: unknown) => boolean, isRequired?: boolean]} Rule
 */
/** @typedef {Readonly<Record<string, Rule>>} Rules by name of the option */

const IS_ADDRESS =
  'an address: 1 to 128 characters in NFC, with no "*", no control characters, no leading "$" and no space at either end';

/** @type {readonly [string, (value: unknown) => boolean]} */
const ADDRESSES = ['a list of up to 100 addresses', (value) => isList(value, 0)];

/** @type {Rule} */
const FUNCTION = ['a function', (value) => typeof value === 'function'];

/** @type {Rules} */
const RULES = {
  recipient: [
    `${IS_ADDRESS}; or a list of up to 100`,
    (value) => value === '*' || isList([value].flat(), 1),
    true,
  ],
  sender: [IS_ADDRESS, isAddress],
  url: [
    'the URL of the service, such as "https://push.example.org/"',
    (value) => value instanceof URL && /^https?:$/.test(value.protocol),
    true,
  ],
  cursor: ['a cursor, such as "42-k3f9ab"', (value) => typeof value === 'string' && value !== ''],
  last: count(0, 1000),
  presence: ADDRESSES,
  transport: [
    '"fetch", "polling" or, without a "token", "event-source"',
    (value) => value === 'fetch' || value === 'polling',
  ],
  signal: ['an AbortSignal', (value) => value instanceof AbortSignal],
  token: FUNCTION,
  onMessage: FUNCTION,
  onEvent: FUNCTION,
  onStatus: FUNCTION,
  onGap: FUNCTION,
  onFrame: FUNCTION,
  onExpired: FUNCTION,
  onRefused: FUNCTION,
};

/** The rules of `history`. @type {Rules} */
export const PAGE_RULES = { before: count(1, Infinity), limit: count(1, 1000) };

/** The rules of `watch`. @type {Rules} */
export const WATCH_RULES = { addresses: [...ADDRESSES, true] };

/**
 * Checks the options of `connect`, and fills in the defaults.
 *
 * @param {Options} options
 * @throws {TypeError} as `check` does
 */
export function checkOptions(options) {
  const given = { ...options };
  const { recipient, token, last = 0, presence = [] } = given;
  const recipients = /** @type {readonly string[]} */ ([recipient].flat());
  const { sender = recipients[0] ?? '' } = given;
  const url = urlOf(given.url);
  const hasEventSource = !token && typeof EventSource === 'function';
  const { transport = hasEventSource ? 'event-source' : 'fetch' } = given;
  const isGood = transport === 'event-source' && hasEventSource;
  check('connect', RULES, { ...given, recipient, url, transport: isGood ? 'fetch' : transport });
  return { ...given, url: /** @type {URL} */ (url), recipients, sender, last, presence, transport };
}

/**
 * Checks the options that a function is given. An option that is `undefined` counts as missing.
 *
 * @param {string} name the name of the function, for the message
 * @param {Rules} rules
 * @param {object} given
 * @throws {TypeError} if an option is unknown or breaks its rule; the message names it
 */
export function check(name, rules, given) {
  for (const [option, value] of Object.entries(given)) {
    if (!Object.hasOwn(rules, option))
      throw new TypeError(
        `${name}: unknown option "${option}"; the options are ${Object.keys(rules).join(', ')}`,
      );
    const [rule, holds, isRequired] = /** @type {Rule} */ (rules[option]);
    if ((value !== undefined || isRequired) && !holds(value))
      throw new TypeError(`${name}: "${option}" must be ${rule}`);
  }
}

/** @param {string | URL | undefined} url @returns {URL | undefined} `undefined` if it is not a URL */
function urlOf(url) {
  try {
    return url === undefined ? undefined : new URL(url, baseUrl());
  } catch {
    return undefined;
  }
}

/** @param {number} min @param {number} max @returns {Rule} */
function count(min, max) {
  return [
    `a whole number from ${min} to ${max}`,
    (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  ];
}

/** @param {unknown} value */
function isAddress(value) {
  return (
    typeof value === 'string' &&
    /^(?![$\s])[^\p{Cc}\p{Cf}\p{Cs}*]{1,128}(?<!\s)$/u.test(value) &&
    value.normalize() === value
  );
}

/** @param {unknown} value @param {number} min */
function isList(value, min) {
  return Array.isArray(value) && value.length >= min && value.length <= 100 && value.every(isAddress);
}
