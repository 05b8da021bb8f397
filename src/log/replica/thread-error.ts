import { types } from 'node:util';

/**
 * Wraps a function so that its errors keep their message when they are sent to another thread. Only errors of
 * JavaScript's own classes keep it: of SQLite's errors, only the code would arrive.
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
