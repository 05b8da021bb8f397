/** Returns a text with a full stop at its end, unless it has one there, or asks something. */
export function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** Returns the first sentence of a text, with a full stop at its end, without what follows it or the next lines. */
export function firstSentence(text: string): string {
  return sentence(text.split(/(?<=[.?!])\s|\n/)[0] ?? text);
}
