import { Registry } from 'prom-client';
import type { Connections } from '../hub/connections.ts';
import type { Hub } from '../hub/hub.ts';
import type { FairScheduler } from '../fair-scheduler.ts';
import type { RefusalCounters } from './counters/refusal-counters.ts';
import type { LogMetrics } from '../log/log-metrics.ts';
import type { Readiness } from '../log/readiness.ts';
import type { PushSender } from '../push/push-sender.ts';
import type { Notifier } from '../push/notifier.ts';
import { type ClusterMetrics, measureCluster } from './cluster.ts';
import { measureConnections } from './connections.ts';
import { Instruments } from './instruments.ts';
import { measureLog } from './log.ts';
import { processInstruments } from './process.ts';
import { measureDeliveries } from './deliveries.ts';
import { measureNotifications } from './notifications.ts';

/** The parts of the service that are measured. */
export interface MeasuredParts {
  readonly log: LogMetrics;
  readonly readiness: Readiness;
  readonly hub: Hub;
  readonly connections: Connections;
  readonly scheduler: FairScheduler;
  /** Whether this is a node of a cluster. */
  readonly isCluster: boolean;
  readonly refusals: RefusalCounters;
  readonly notifier: Notifier;
  readonly pushSender: PushSender;
  /** The number of connections that were cut, by reason. */
  readonly http: { readonly unreadable: number; readonly stalled: number };
  /** The number of lines of the service's log that were dropped. */
  readonly lines: { readonly dropped: number };
  /** `undefined` if this is the only node. */
  readonly cluster: ClusterMetrics | undefined;
}

/** The metrics that the service exports to Prometheus. Each is explained in docs/operations.md. */
export class Metrics {
  readonly #instruments = new Instruments();
  readonly #parts: MeasuredParts;

  constructor(parts: MeasuredParts) {
    this.#parts = parts;
  }

  /** Begins to measure. Earlier commits are missing from the histograms. */
  start(): void {
    const parts = this.#parts;
    processInstruments();
    measureDeliveries(this.#instruments, parts);
    measureConnections(this.#instruments, parts);
    measureNotifications(this.#instruments, parts);
    measureLog(this.#instruments, parts);
    if (parts.cluster !== undefined) measureCluster(this.#instruments, parts.cluster);
    this.#instruments.counter(
      'tidings_logger_lines_dropped_total',
      "Lines of the service's log that were dropped because the error output did not accept them.",
      () => parts.lines.dropped,
    );
  }

  /** The media type of `text`, with the version of the format. */
  get contentType(): string {
    return this.#instruments.registry.contentType;
  }

  /** Returns all current values in Prometheus' text format. Does not reject if the log cannot be written. */
  text(): Promise<string> {
    return Registry.merge([this.#instruments.registry, processInstruments().registry]).metrics();
  }
}
