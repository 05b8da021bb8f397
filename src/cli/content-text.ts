/** Returns the content of a database as the end of a sentence. */
export function contentText({
  newest,
  schema,
}: {
  readonly newest: number;
  readonly schema: number;
}): string {
  return `${newest === 0 ? 'no messages' : `messages up to ${newest}`}, schema version ${schema}`;
}
