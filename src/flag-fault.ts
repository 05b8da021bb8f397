import { firstSentence } from './sentence.ts';

/** Turns an error of Node's `parseArgs` into a sentence that says what is wrong with the flags. */
export function flagFault(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const [flag] = /--[\w-]+/.exec(message) ?? [];
  return flag !== undefined && code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' && message.includes('ambiguous')
    ? `${flag} needs a value that does not begin with "-".`
    : firstSentence(message);
}
