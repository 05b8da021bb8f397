/** Connections to NATS in the process of the test, configured as the service is. */
import { pino } from 'pino';
import { connectNats } from '../../src/cluster/connection.ts';
import type { NatsLink } from '../../src/cluster/nats-link.ts';
import { readConfig } from '../../src/config/config.ts';
import type { NatsConfig } from '../../src/config/nats.ts';
import { StartError } from '../../src/start-error.ts';

/** Environment variables. */
export type Variables = Readonly<Record<string, string>>;

/** A line of the log. */
export interface Line {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

const links = new Set<NatsLink>();

/** A log that keeps its lines. */
export class KeptLog {
  readonly lines: Line[] = [];
  readonly logger = pino(
    { level: 'trace', base: null },
    { write: (line: string) => void this.lines.push(JSON.parse(line) as Line) },
  );

  /** Returns the lines from level `warn` on. */
  get bad(): readonly Line[] {
    return this.lines.filter(({ level }) => level >= 40);
  }

  /** Returns how many lines have these words. */
  count(words: string): number {
    return this.lines.filter(({ msg }) => msg.includes(words)).length;
  }
}

/** Returns the configuration of NATS by these variables. */
export function natsConfigOf(variables: Variables): NatsConfig {
  const { nats } = readConfig(variables, [], 1024);
  if (nats === undefined) throw new Error('NATS_URL is missing');
  return nats;
}

/** Connects, and fails if that does not succeed. `closeLinks` closes it. */
export async function linkTo(variables: Variables, log = new KeptLog()): Promise<NatsLink> {
  const { signal } = new AbortController();
  const link = await connectNats({ config: natsConfigOf(variables), logger: log.logger, signal });
  if (link === undefined) throw new Error('the connection was given up');
  links.add(link);
  return link;
}

/** Connects, and returns the line that a start would end with. Fails if it succeeds. */
export async function faultOfStart(variables: Variables): Promise<string> {
  const link = await linkTo(variables).catch((error: unknown) => error);
  if (link instanceof StartError) return link.message;
  throw link instanceof Error ? link : new Error('it was connected');
}

/** Closes all connections. */
export async function closeLinks(): Promise<void> {
  await Promise.all([...links].map((link) => link.close()));
  links.clear();
}
