/**
 * Makes sure that a text is what its author meant: not bytes of another encoding, which decoding has replaced, and no
 * white space around it (a byte order mark counts as such), which an editor, a template or a shell has left there.
 *
 * @throws {Error} with the rule that the text breaks, as the end of the sentence "NAME …"
 */
export function checkText(text: string): string {
  if (text.includes('\uFFFD')) throw new Error('must be UTF-8');
  if (text !== text.trim())
    throw new Error('must not begin or end with white space, a line break or a byte order mark');
  return text;
}
