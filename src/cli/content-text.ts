/** Returns what a database has, as the end of a sentence. */
export function contentText({
  newest,
  schema,
}: {
  readonly newest: number;
  readonly schema: number;
}): string {
  return `${newest === 0 ? 'no message' : `messages up to ${newest}`}, schema version ${schema}`;
}
