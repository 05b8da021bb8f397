/** What ends a line to some parsers, and is not escaped by JSON.stringify. */
const LINE_ENDS = /[\u0085\u2028\u2029]/g;

/**
 * Escapes what JSON text may still have of line ends: U+0085, U+2028 and U+2029. They end no line of an event stream, but
 * they do to what many clients read lines with: `splitlines()` and `iter_lines()` of Python, `lines` of Swift's URLSession.
 * JSON has them in strings alone, so the value is the same.
 *
 * @param json JSON text without white space around its values, as JSON.stringify gives it, or blocks with such text
 * @returns the same text where it has none of them
 */
export function oneLine(json: string): string {
  // Three searches for one character are a third of the time that a regular expression takes.
  if (!json.includes('\u0085') && !json.includes('\u2028') && !json.includes('\u2029')) return json;
  return json.replace(LINE_ENDS, (end) => `\\u${end.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
