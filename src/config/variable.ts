/** An environment variable, with a flag of the same name. */
export interface Variable<T> {
  /** The text that is read if the variable is not set. It may depend on how many files the process may open. */
  readonly fallback: string | ((openFiles: number) => string);
  /** One line of `--help`. */
  readonly about: string;
  /** @throws {Error} with the rule that the text breaks, as the end of the sentence "NAME …" */
  readonly read: (text: string, openFiles: number) => T;
  /** It has no flag, because everybody on the machine can see flags (`ps`), and its value is never repeated. */
  readonly secret?: true;
  /** Its value is never repeated: it may be a secret, set by mistake instead of the file that has it. */
  readonly unrepeated?: true;
  /** It is a list separated by white space, which may also surround it. */
  readonly list?: true;
}

/** Returns the name of a key's environment variable: `retentionDays` is `RETENTION_DAYS`. */
export function variableName(key: string): string {
  return key.replaceAll(/[A-Z]/g, '_$&').toUpperCase();
}

/** Returns the name of a key's flag: `retentionDays` is `retention-days`. */
export function flagName(key: string): string {
  return variableName(key).toLowerCase().replaceAll('_', '-');
}
