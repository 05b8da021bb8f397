import type { Logger } from 'pino';
import { entryOf } from './entry.ts';
import { LogUnavailable } from './message-log.ts';
import type { AppliedGroup } from './order/applied-group.ts';
import type { JetStreamOrder } from './order/jetstream.ts';
import type { Replica } from './replica/replica.ts';
import { KEEPS_ALL, type Retention } from './retention.ts';

/** The dependencies of `ClusterRetention`. */
export interface ClusterRetentionParts {
  readonly replica: Replica;
  readonly order: Pick<JetStreamOrder, 'propose'>;
  readonly logger: Logger;
  /** The retention in the configuration of this node. */
  readonly configured: Retention;
}

/**
 * The retention of a cluster: one setting for all nodes, kept in the log. The holder of the lease finds the messages to
 * remove and proposes their removal.
 */
export class ClusterRetention {
  readonly #parts: ClusterRetentionParts;
  #leads = false;
  /** The setting, as text; `undefined` before it is known. */
  #known: string | undefined;

  constructor(parts: ClusterRetentionParts) {
    this.#parts = parts;
    const { replica, order } = parts;
    this.#look();
    replica.onProposed = (entry) => {
      void order.propose(entryOf(entry)).then((proposed) => {
        if (!(proposed instanceof LogUnavailable) || entry.kind !== 'purge') return;
        if (entry.origin !== undefined) replica.unproposed(entry.origin);
      });
    };
  }

  /** Starts or stops looking for messages that retention removes. */
  lead(leads: boolean): void {
    const { replica } = this.#parts;
    this.#leads = leads;
    replica.retain(leads ? this.setting : undefined);
  }

  /** Checks applied entries for a change of the setting, which takes effect at once. */
  applied({ outcomes }: Pick<AppliedGroup, 'outcomes'>): void {
    if (!outcomes.some(({ kind }) => kind === 'settings' || kind === 'applied-before')) return;
    if (this.#look() && this.#leads) this.lead(true);
  }

  /** The current setting. */
  get setting(): Retention {
    return this.#parts.replica.store.retention() ?? KEEPS_ALL;
  }

  /** Reads the setting. @returns whether it has changed */
  #look(): boolean {
    const { replica, logger, configured } = this.#parts;
    const retention = replica.store.retention();
    const before = this.#known;
    this.#known = JSON.stringify(retention);
    if (retention === undefined || before === this.#known) return false;
    logger.info({ ...retention }, 'the retention of the cluster');
    if (differs(configured, retention)) {
      logger.warn(
        { configured, cluster: retention },
        'RETENTION_DAYS and RETENTION_MESSAGES of this node have no effect: the cluster has a different retention, and ' +
          '`cluster retention` changes it for all nodes',
      );
    }
    return true;
  }
}

/**
 * Returns whether a node is configured with a retention other than the cluster's. The default, which keeps everything,
 * does not count.
 */
function differs(configured: Retention, { days, messages }: Retention): boolean {
  if (configured.days === 0 && configured.messages === 0) return false;
  return configured.days !== days || configured.messages !== messages;
}
