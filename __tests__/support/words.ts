/** Returns the words of a text, which blanks and ends of lines separate. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
