/**
 * Checks that a text is what its author meant: it has no characters that replace bytes of another encoding, and no
 * white space around it (such as a byte order mark), which an editor, a template or a shell may have left there.
 *
 * @throws {Error} with the rule that the text breaks, as the end of the sentence "NAME …"
 */
export function checkText(text: string): string {
  if (text.includes('\uFFFD')) throw new Error('must be UTF-8');
  if (text !== text.trim())
    throw new Error('must not begin or end with white space, a line break or a byte order mark');
  return text;
}
