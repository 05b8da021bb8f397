/** The names that a cluster uses in NATS. All begin with the prefix, so that several services can share a NATS. */

/** The keys of a stream's metadata. */
export const LOG_ID = 'tidings-log';
export const GENERATION = 'tidings-generation';
export const BRANCH = 'tidings-branch';

/** Returns the name of the stream of a generation. */
export function streamName(prefix: string, generation: number): string {
  return `${prefix}-${generation}`;
}

/** Returns the only subject of the stream of a generation. */
export function entriesSubject(prefix: string, generation: number): string {
  return `${prefix}.${generation}.entries`;
}

/** Returns the subject of the messages between nodes that are not stored in the log. */
export function busSubject(prefix: string): string {
  return `${prefix}.bus`;
}

/** Returns the name of the key-value bucket that is the catalogue of the log. */
export function catalogueName(prefix: string): string {
  return prefix;
}

/** Returns the name of the bucket of the lease, which one node holds. */
export function leaseBucketName(prefix: string): string {
  return `${prefix}-lease`;
}

/** Returns the name of the bucket of a snapshot. */
export function snapshotBucket(prefix: string, id: string): string {
  return `${prefix}-snapshot-${id}`;
}
