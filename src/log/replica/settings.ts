import type { Database } from 'better-sqlite3';
import { KEEPS_ALL, type Retention } from '../retention.ts';

/**
 * Prepares a function that stores settings, on a connection that may write.
 *
 * @returns a function that stores the given settings. It throws {TypeError} if they are invalid; the entry then changes
 *   nothing
 */
export function prepareSettings(database: Database): (retention: Partial<Retention>) => void {
  const get = database.prepare<[], string>("SELECT value FROM settings WHERE name = 'retention'").pluck();
  const set = database.prepare(
    "INSERT INTO settings (name, value) VALUES ('retention', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
  );
  return (retention) => {
    const before = get.get();
    const stored = before === undefined ? KEEPS_ALL : (JSON.parse(before) as Retention);
    const { days = stored.days, messages = stored.messages } = retention;
    if (!isCount(days) || !isCount(messages)) throw new TypeError('its settings are invalid');
    set.run(JSON.stringify({ days, messages }));
  };
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
