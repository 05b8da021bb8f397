/** Returns a text with a full stop at its end, unless it ends in one, or in a question or exclamation mark. */
export function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** Returns the first sentence of a text, or its first line if that is shorter, with a full stop at its end. */
export function firstSentence(text: string): string {
  return sentence(text.split(/(?<=[.?!])\s|\n/)[0] ?? text);
}
