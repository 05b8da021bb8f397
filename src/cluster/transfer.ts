import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Catalogue } from './catalogue.ts';
import { withoutTransfer, withRenewal, withTransfer } from './snapshot-list.ts';

/** The interval at which the announcement of a transfer is renewed. */
const RENEW_MILLISECONDS = 60_000;

/** Returns a new random id for a snapshot or a transfer. */
export function newId(): string {
  return randomBytes(6).toString('hex');
}

/**
 * Runs an upload or a download of a snapshot, and keeps it announced in the catalogue, so that nobody removes or trims
 * data that it needs.
 *
 * @param id the id of the transfer; for an upload, the id of the snapshot
 */
export async function withAnnouncement<T>(
  { catalogue, logger }: { readonly catalogue: Pick<Catalogue, 'changeSnapshots'>; readonly logger: Logger },
  { kind, id, snapshot }: { kind: 'uploads' | 'downloads'; id: string; snapshot: string },
  run: () => Promise<T>,
): Promise<T> {
  await catalogue.changeSnapshots((list, time) => withTransfer(list, kind, { id, snapshot, time }));
  let isOver = false;
  let renewing: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    if (isOver) return;
    renewing = catalogue
      .changeSnapshots((list, time) => withRenewal(list, id, time))
      .catch((error: unknown) => logger.debug({ err: error }, 'a transfer is not announced'));
  }, RENEW_MILLISECONDS);
  timer.unref();
  try {
    return await run();
  } finally {
    isOver = true;
    clearInterval(timer);
    await renewing;
    await catalogue
      .changeSnapshots((list) => withoutTransfer(list, id))
      .catch((error: unknown) => logger.debug({ err: error }, 'the end of a transfer is not announced'));
  }
}
