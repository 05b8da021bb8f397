import { readdir, stat } from 'node:fs/promises';
import { collectDefaultMetrics } from 'prom-client';
import { Instruments } from './instruments.ts';

/**
 * The metrics of prom-client that are left out: those that list every socket at each scrape, which would block the
 * service if there are many, and a gauge with the name of a counter.
 */
const LEFT_OUT = [
  'process_open_fds',
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
];

const FOLDER = '/proc/self/fd';

let instruments: Instruments | undefined;

/**
 * Returns the metrics of the process: memory, CPU, event loop and open files as Node and Linux report them. They are shared
 * by all services in it, because prom-client cannot stop measuring them.
 */
export function processInstruments(): Instruments {
  instruments ??= measureProcess();
  return instruments;
}

function measureProcess(): Instruments {
  const made = new Instruments();
  const { registry } = made;
  collectDefaultMetrics({ register: registry });
  for (const name of LEFT_OUT) registry.removeSingleMetric(name);
  if (process.platform !== 'linux') return made;
  made.gauge('process_open_fds', 'Number of open file descriptors.', async () => {
    // Since Linux 6.2 the size of the folder is their number; before, it is 0.
    const { size } = await stat(FOLDER);
    return size > 0 ? size : (await readdir(FOLDER)).length;
  });
  return made;
}
