import { flagName, variableName } from './variable.ts';
import { allVariables, fallbackOf } from './variables.ts';

/**
 * Returns what `serve --help` prints.
 *
 * @param openFiles how many files this process may open: some defaults depend on it
 */
export function usage(openFiles: number): string {
  const rows = allVariables().map(([key, variable]) => {
    const flag = variable.secret === true ? '' : `--${flagName(key)}`;
    const fallback = fallbackOf(variable, openFiles);
    return `  ${flag.padEnd(25)} ${variableName(key).padEnd(22)} ${fallback.padEnd(20)} ${variable.about}\n`;
  });
  return `Usage: tidings [serve] [--flag value]...

Runs the service until SIGTERM or SIGINT. Each setting is a flag or an environment variable; a flag takes precedence.

  flag                      variable               default
${rows.join('')}
Examples:
  tidings                                    serves only this machine, without tokens
  tidings --port 8080 --retention-days 30
  AUTH_SECRET_FILE=/etc/tidings/secrets tidings serve --host 0.0.0.0 --database /var/lib/tidings/tidings.sqlite
`;
}
