/** Files other than connections: the database, its log, the listener, and those that the process itself needs. */
const RESERVED_FILES = 64;

/** Connections that are kept free for requests: streams may not use them. */
const RESERVED_CONNECTIONS = 192;

/** If the system sets no limit on open files, memory is the limit: at about 20 KB a stream this is 2 GB. */
export const MAX_STREAMS = 100_000;

/** The part of Node's report that is read. */
interface Report {
  readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } };
}

/** Returns how many files this process may open: its soft limit, which Node raises to the hard one at its start; or Infinity. */
export function openFileLimit(): number {
  // Looking up the names of all peers would take seconds. The types of Node 20 lack this property.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as Report;
  const limit = Number(userLimits?.open_files?.soft);
  return Number.isFinite(limit) ? limit : Infinity;
}

/** Returns how many connections may be open at once; at least 1. */
export function connectionsWithin(openFiles: number): number {
  return Math.max(1, openFiles - RESERVED_FILES);
}

/** Returns how many of those connections may be streams and held polls; at least 1. */
export function streamsWithin(openFiles: number): number {
  return Math.max(1, Math.min(MAX_STREAMS, openFiles - RESERVED_FILES - RESERVED_CONNECTIONS));
}
