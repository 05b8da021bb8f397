/**
 * Returns why JSON.parse refused a text, and at which position, in words for its author. V8 may quote a part of the text;
 * at most one character of that is shown, since an answer should not echo more than it must.
 *
 * @returns the end of the sentence "The body is not valid JSON: …"
 */
export function jsonFault(error: unknown): string {
  const { message } = error as Error;
  const [, what = '', position = ''] = /^([^"]+?)(?: in JSON)? at position (\d+)/.exec(message) ?? [];
  if (what.endsWith('after JSON')) {
    return `it continues after its end, at position ${position} (send several messages as one array)`;
  }
  if (what !== '') return `${what.charAt(0).toLowerCase()}${what.slice(1)} at position ${position}`;
  if (message === 'Unexpected end of JSON input') return 'it ends too early';
  const [, token] = /^Unexpected token '([!-~])'/.exec(message) ?? [];
  return token === undefined ? 'it is not a JSON value' : `unexpected character ${token}`;
}
