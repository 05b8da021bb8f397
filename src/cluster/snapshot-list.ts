/**
 * The list of snapshots in the catalogue. A snapshot exists once it is in the list. Each bucket is announced before it
 * is created, so that none is ever forgotten, and announcements of uploads and downloads are renewed while they run.
 */

/** A snapshot: a copy of a replica, in its own bucket. */
export interface Snapshot {
  readonly id: string;
  readonly logId: string;
  readonly generation: number;
  /** The sequence of the last applied entry. */
  readonly sequence: number;
  /** The highest assigned id. */
  readonly head: number;
  readonly bytes: number;
  /** The SHA-256 hash of the copy, in hexadecimal digits. */
  readonly sha256: string;
  /** The version of its schema. */
  readonly schema: number;
  /** The time at which it was complete, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** The time that it took to make. */
  readonly seconds: number;
}

/** An upload or a download of a snapshot. */
export interface Transfer {
  /** The id of this upload or download. */
  readonly id: string;
  /** The id of the snapshot. */
  readonly snapshot: string;
  /** The time at which it was last renewed, in milliseconds since the Unix epoch. */
  readonly time: number;
}

/** The list of snapshots. */
export interface SnapshotList {
  /** The snapshots, the newest first. */
  readonly snapshots: readonly Snapshot[];
  readonly uploads: readonly Transfer[];
  readonly downloads: readonly Transfer[];
  /** The ids of snapshots whose buckets must be removed. */
  readonly removed: readonly string[];
}

export const NO_SNAPSHOTS: SnapshotList = { snapshots: [], uploads: [], downloads: [], removed: [] };

/** The number of snapshots kept of a generation. */
const KEPT = 2;

/** A transfer that has not been renewed for this time has ended. */
const SILENT_MILLISECONDS = 15 * 60_000;

/**
 * Returns a list with a new upload or download. If the snapshot of an upload is already in the list, returns the list
 * unchanged.
 */
export function withTransfer(
  list: SnapshotList,
  kind: 'uploads' | 'downloads',
  transfer: Transfer,
): SnapshotList {
  if (kind === 'uploads' && list.snapshots.some(({ id }) => id === transfer.id)) return list;
  return { ...list, [kind]: [...list[kind].filter(({ id }) => id !== transfer.id), transfer] };
}

/** Returns a list in which an upload or download is renewed at a time. If it is not in the list, nothing changes. */
export function withRenewal(list: SnapshotList, id: string, time: number): SnapshotList {
  const renewed = (transfers: readonly Transfer[]): Transfer[] =>
    transfers.map((one) => (one.id === id ? { ...one, time } : one));
  return { ...list, uploads: renewed(list.uploads), downloads: renewed(list.downloads) };
}

/**
 * Returns a list without an upload or download. The bucket of an upload that made no snapshot is marked for removal.
 */
export function withoutTransfer(list: SnapshotList, id: string): SnapshotList {
  const others = (transfers: readonly Transfer[]): Transfer[] => transfers.filter((one) => one.id !== id);
  const given = list.uploads.filter((upload) => upload.id === id).map(({ snapshot }) => snapshot);
  const without = { ...list, uploads: others(list.uploads), downloads: others(list.downloads) };
  return withRemoved(without, given);
}

/** Returns a list in which further buckets are marked for removal, but never the bucket of a snapshot in the list. */
function withRemoved(list: SnapshotList, ids: readonly string[]): SnapshotList {
  const kept = new Set(list.snapshots.map(({ id }) => id));
  return { ...list, removed: [...list.removed, ...ids].filter((id) => !kept.has(id)) };
}

/**
 * Returns a list with an uploaded snapshot.
 *
 * @returns `undefined` if its upload is no longer announced, since its bucket may be gone
 */
export function withSnapshot(list: SnapshotList, snapshot: Snapshot): SnapshotList | undefined {
  if (!list.uploads.some(({ id }) => id === snapshot.id)) return undefined;
  // Of two with the same sequence, this one is newer, whatever the clocks said.
  const snapshots = [snapshot, ...list.snapshots].sort(
    (one, other) => other.generation - one.generation || other.sequence - one.sequence,
  );
  return { ...list, uploads: list.uploads.filter(({ id }) => id !== snapshot.id), snapshots };
}

/**
 * Returns a list without snapshots and transfers that are no longer needed. Keeps the two newest snapshots of each
 * generation, but those of older generations only until the newest has two. Also keeps snapshots being downloaded.
 *
 * @param now milliseconds since the Unix epoch. A transfer has ended if its time differs from it by 15 minutes, in
 *   either direction
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
 * Returns the sequence up to which the stream may be trimmed: the sequence of the older of two snapshots, or less if a
 * node or a download needs more.
 *
 * @param positions the sequences applied by the nodes seen recently
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
