import { types } from 'node:util';

/**
 * Returns a function that throws errors which keep their message on their way to another thread. Only errors of JavaScript's
 * own classes do: of one of SQLite's, its code alone would arrive.
 */
export function throwingAcross<Arguments extends unknown[], Result>(
  run: (...values: Arguments) => Result,
): (...values: Arguments) => Result {
  return (...values) => {
    try {
      return run(...values);
    } catch (error) {
      if (types.isNativeError(error)) throw error;
      const { message, code } = error as { message?: unknown; code?: unknown };
      throw Object.assign(new Error(String(message), { cause: error }), { code });
    }
  };
}
