/**
 * The list of snapshots in the catalogue. A snapshot exists when it is in the list. The bucket of each is announced before it
 * is made, so no bucket is ever forgotten, and whoever uploads or downloads one says again and again that this goes on.
 */

/** A snapshot: a copy of a replica in a bucket of its own. */
export interface Snapshot {
  readonly id: string;
  readonly logId: string;
  readonly generation: number;
  /** The sequence of the entry that was applied last. */
  readonly sequence: number;
  /** The highest id given. */
  readonly head: number;
  readonly bytes: number;
  /** SHA-256 of the copy, in hexadecimal digits. */
  readonly sha256: string;
  /** The version of its schema. */
  readonly schema: number;
  /** When it was complete, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** Seconds that it took. */
  readonly seconds: number;
}

/** Somebody uploads or downloads a snapshot. */
export interface Transfer {
  /** Of this upload or download. */
  readonly id: string;
  /** The snapshot's id. */
  readonly snapshot: string;
  /** When it went on last, in milliseconds since the Unix epoch. */
  readonly time: number;
}

/** The list of snapshots. */
export interface SnapshotList {
  /** The newest first. */
  readonly snapshots: readonly Snapshot[];
  readonly uploads: readonly Transfer[];
  readonly downloads: readonly Transfer[];
  /** Snapshots whose buckets are to be removed. */
  readonly removed: readonly string[];
}

export const NO_SNAPSHOTS: SnapshotList = { snapshots: [], uploads: [], downloads: [], removed: [] };

/** So many snapshots are kept of a generation. */
const KEPT = 2;

/** A transfer that was not heard of for this time has ended. */
const SILENT_MILLISECONDS = 15 * 60_000;

/** Returns a list in which an upload or a download has begun. An upload whose snapshot is in the list has ended. */
export function withTransfer(
  list: SnapshotList,
  kind: 'uploads' | 'downloads',
  transfer: Transfer,
): SnapshotList {
  if (kind === 'uploads' && list.snapshots.some(({ id }) => id === transfer.id)) return list;
  return { ...list, [kind]: [...list[kind].filter(({ id }) => id !== transfer.id), transfer] };
}

/** Returns a list in which an upload or a download has gone on at a time. It stays as it is if that is not in the list. */
export function withRenewal(list: SnapshotList, id: string, time: number): SnapshotList {
  const renewed = (transfers: readonly Transfer[]): Transfer[] =>
    transfers.map((one) => (one.id === id ? { ...one, time } : one));
  return { ...list, uploads: renewed(list.uploads), downloads: renewed(list.downloads) };
}

/** Returns a list without an upload or download. The bucket of an upload that made no snapshot is to be removed. */
export function withoutTransfer(list: SnapshotList, id: string): SnapshotList {
  const others = (transfers: readonly Transfer[]): Transfer[] => transfers.filter((one) => one.id !== id);
  const given = list.uploads.filter((upload) => upload.id === id).map(({ snapshot }) => snapshot);
  const without = { ...list, uploads: others(list.uploads), downloads: others(list.downloads) };
  return withRemoved(without, given);
}

/** Returns a list of which further buckets are to be removed: never that of a snapshot in the list. */
function withRemoved(list: SnapshotList, ids: readonly string[]): SnapshotList {
  const kept = new Set(list.snapshots.map(({ id }) => id));
  return { ...list, removed: [...list.removed, ...ids].filter((id) => !kept.has(id)) };
}

/**
 * Returns a list with a snapshot that was uploaded.
 *
 * @returns `undefined` if its upload is not announced any more: its bucket may be gone
 */
export function withSnapshot(list: SnapshotList, snapshot: Snapshot): SnapshotList | undefined {
  if (!list.uploads.some(({ id }) => id === snapshot.id)) return undefined;
  // Of two of one sequence, this one is the newer, whatever their clocks have said.
  const snapshots = [snapshot, ...list.snapshots].sort(
    (one, other) => other.generation - one.generation || other.sequence - one.sequence,
  );
  return { ...list, uploads: list.uploads.filter(({ id }) => id !== snapshot.id), snapshots };
}

/**
 * Returns a list without what is not needed any more: of each generation the two newest snapshots are kept, and those of
 * older generations until a newer one has two. One that is being downloaded is kept, too.
 *
 * @param now milliseconds since the Unix epoch. A transfer that is as far ahead of it as a silent one is behind is silent, too
 */
export function tidied(list: SnapshotList, now: number): SnapshotList {
  const goesOn = ({ time }: Transfer): boolean => Math.abs(now - time) < SILENT_MILLISECONDS;
  const uploads = list.uploads.filter(goesOn);
  const downloads = list.downloads.filter(goesOn);
  const countNewer = (snapshot: Snapshot, isCounted: (other: Snapshot) => boolean): number =>
    list.snapshots.slice(0, list.snapshots.indexOf(snapshot)).filter(isCounted).length;
  const snapshots = list.snapshots.filter((snapshot) => {
    const { id, generation } = snapshot;
    if (downloads.some((download) => download.snapshot === id)) return true;
    if (countNewer(snapshot, (other) => other.generation === generation) >= KEPT) return false;
    const newest = list.snapshots[0]?.generation ?? generation;
    return generation === newest || countNewer(snapshot, (other) => other.generation === newest) < KEPT;
  });
  const given = [
    ...list.uploads.filter((upload) => !goesOn(upload)),
    ...list.snapshots.filter((snapshot) => !snapshots.includes(snapshot)),
  ];
  return withRemoved(
    { ...list, snapshots, uploads, downloads },
    given.map(({ id }) => id),
  );
}

/** Returns the newest snapshot of a generation; `undefined` if there is none. */
export function newestOf(list: SnapshotList, generation: number): Snapshot | undefined {
  return snapshotsOf(list, generation)[0];
}

/** Returns the snapshots of a generation, the newest first. */
export function snapshotsOf({ snapshots }: SnapshotList, generation: number): Snapshot[] {
  return snapshots.filter((snapshot) => snapshot.generation === generation);
}

/**
 * Returns the sequence through which the stream may be trimmed: that of the older of two snapshots, or less if a node or a
 * download needs more.
 *
 * @param positions the sequences that the nodes have applied which were seen lately
 * @returns 0 if nothing may be trimmed
 */
export function trimBound(list: SnapshotList, generation: number, positions: readonly number[]): number {
  const ofGeneration = snapshotsOf(list, generation);
  const kept = ofGeneration[KEPT - 1];
  if (kept === undefined) return 0;
  const downloads = list.downloads.flatMap(({ snapshot }) =>
    ofGeneration.filter(({ id }) => id === snapshot),
  );
  let bound = kept.sequence;
  for (const position of positions) bound = Math.min(bound, position);
  for (const { sequence } of downloads) bound = Math.min(bound, sequence);
  return Math.max(0, bound);
}
