import { availableParallelism, cpus, release, type } from 'node:os';
import Sqlite from 'better-sqlite3';
import { nginxVersion } from './peers/nchan.js';

/** Returns the properties of the machine that affect the figures. */
export function machine() {
  const [cpu] = cpus();
  const database = new Sqlite(':memory:');
  const sqlite = String(database.prepare('SELECT sqlite_version()').pluck().get());
  database.close();
  return {
    date: new Date().toISOString().slice(0, 10),
    Node: process.versions.node,
    SQLite: sqlite,
    nginx: nginxVersion() ?? 'none',
    kernel: `${type()} ${release()}`,
    CPU: `${availableParallelism()} × ${cpu?.model ?? 'unknown'}`,
  };
}
