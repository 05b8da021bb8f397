/** Line ends of some parsers that JSON.stringify does not escape. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;

/**
 * Escapes the line ends that JSON text may contain: U+0085, U+2028 and U+2029. An event stream does not treat them as
 * line ends, but the line readers of many clients do: `splitlines()` and `iter_lines()` in Python, `lines` of Swift's
 * URLSession. In JSON they occur only in strings, so the value stays the same.
 *
 * @param json JSON text without white space around values, as from JSON.stringify, or blocks with such text
 * @returns the same text if it has none of them
 */
export function oneLine(json: string): string {
  // Three searches for a character take a third of the time of a regular expression.
  if (!json.includes('\u0085') && !json.includes('\u2028') && !json.includes('\u2029')) return json;
  return json.replace(LINE_ENDS, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
