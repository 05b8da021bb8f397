/**
 * Checks a text for traces of an editor, a template or a shell: replacement characters, which stand for bytes of
 * another encoding, and white space or a byte order mark at either end.
 *
 * @throws {Error} with the rule that the text breaks, as the end of the sentence "NAME …"
 */
export function checkText(text: string): string {
  if (text.includes('\uFFFD')) throw new Error('must be UTF-8');
  if (text !== text.trim())
    throw new Error('must not begin or end with white space, a line break or a byte order mark');
  return text;
}
