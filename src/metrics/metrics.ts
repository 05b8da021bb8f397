import type { Devices } from '../hub/devices.ts';
import type { Hub } from '../hub/hub.ts';
import type { Turns } from '../hub/turns.ts';
import type { Refusals } from '../http/refusals.ts';
import type { MessageLog } from '../log/message-log.ts';
import type { Readiness } from '../log/readiness.ts';
import type { PushSender } from '../push/push-sender.ts';
import type { Pushes } from '../push/pushes.ts';
import { measureDevices } from './devices.ts';
import { Instruments } from './instruments.ts';
import { measureLog } from './log.ts';
import { measureProcess } from './process.ts';
import { measurePushes } from './pushes.ts';
import { measureTraffic } from './traffic.ts';

/** What is measured. */
export interface MeasuredParts {
  readonly log: MessageLog;
  readonly readiness: Readiness;
  readonly hub: Hub;
  readonly devices: Devices;
  readonly turns: Turns;
  readonly refusals: Refusals;
  readonly pushes: Pushes;
  readonly pushSender: PushSender;
  /** How many connections were ended for what came on them. */
  readonly http: { readonly unreadable: number; readonly stalled: number };
  /** How many lines of the log of the service were dropped. */
  readonly lines: { readonly dropped: number };
}

/** All that the service tells Prometheus. Each metric is explained in docs/operations.md. */
export class Metrics {
  readonly #instruments = new Instruments();

  /** Begins to measure: what is committed before it is created has no times. */
  constructor(parts: MeasuredParts) {
    measureTraffic(this.#instruments, parts);
    measureDevices(this.#instruments, parts);
    measurePushes(this.#instruments, parts);
    measureLog(this.#instruments, parts);
    measureProcess(this.#instruments, parts);
  }

  /** The media type of `text`, with the version of its format. */
  get contentType(): string {
    return this.#instruments.registry.contentType;
  }

  /** All values now, in Prometheus' text format. Never rejects because the log cannot be written. */
  text(): Promise<string> {
    return this.#instruments.registry.metrics();
  }
}
