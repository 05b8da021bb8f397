// Opens a database as the start of the service does, which migrates it, and ends: its path is the argument.
const program = /** @type {unknown} */ (
  await import(new URL('../../dist/log/replica/database.js', import.meta.url).href)
);
const { makeReady } = /** @type {{ makeReady: (...args: unknown[]) => void }} */ (program);
process.umask(0o077);
makeReady(process.argv[2], () => undefined, { keepsCopy: true, logger: { warn: () => undefined } });
