/** Runs SQLite's `quick_check` on the given database and sends the result: `ok` or the first fault. */
import { openForReading } from './database.ts';

const database = openForReading(process.argv[2] ?? '');
let result: unknown;
try {
  result = database.pragma('quick_check(1)', { simple: true });
} catch (error) {
  result = String(error);
} finally {
  database.close();
}
process.send?.(result, () => process.disconnect());
