import { flagName, variableName } from './variable.ts';
import { allVariables, fallbackOf } from './variables.ts';

/**
 * Returns what `--help` prints.
 *
 * @param openFiles how many files this process may open: some defaults depend on it
 */
export function usage(openFiles: number): string {
  const rows = allVariables().map(([key, variable]) => {
    const flag = variable.secret === true ? '' : `--${flagName(key)}`;
    const fallback = fallbackOf(variable, openFiles);
    return `  ${flag.padEnd(25)} ${variableName(key).padEnd(22)} ${fallback.padEnd(20)} ${variable.about}\n`;
  });
  return `Usage: node dist/main.js [--flag value]...\n\n  flag                      variable               default\n${rows.join('')}`;
}
