import { readdir, stat } from 'node:fs/promises';
import { collectDefaultMetrics } from 'prom-client';
import type { Instruments } from './instruments.ts';

/**
 * Of prom-client's metrics those that list every socket at each scrape (with many devices nobody would be served
 * meanwhile), and one whose name is that of a counter, which it is not.
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

/** The process: memory, CPU, event loop, open files, as Node and Linux tell, and lines of its log that were dropped. */
export function measureProcess(
  instruments: Instruments,
  { lines }: { lines: { readonly dropped: number } },
): void {
  const { registry } = instruments;
  instruments.counter(
    'tidings_log_lines_dropped_total',
    'Lines of the log of the service that were dropped, since the error output did not take them.',
    () => lines.dropped,
  );
  collectDefaultMetrics({ register: registry });
  for (const name of LEFT_OUT) registry.removeSingleMetric(name);
  if (process.platform !== 'linux') return;
  instruments.gauge('process_open_fds', 'Number of open file descriptors.', async () => {
    // The size of the folder is their number since Linux 6.2; before it is 0.
    const { size } = await stat(FOLDER);
    return size > 0 ? size : (await readdir(FOLDER)).length;
  });
}
