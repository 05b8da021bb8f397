/** The suites for a single service, run on the nodes of a cluster that looks like one: `npm run test:cluster`. CI runs some. */
import one from './jest.config.js';

/** Suites that cannot pass on nodes, or that say nothing about them, by the reason. */
const OF_ONE_PROCESS = {
  'they start no service, or start it in their own way':
    'bench bench-hostile bench-peers container docs in-process kubernetes nginx systemd wire-tap',
  'they test the client, whichever service it has': 'package-[a-z]+ client-transports',
  'they start nodes and NATS themselves': 'cluster-[a-z-]+ nats-[a-z-]+',
  'they run the service in its own network, which has no NATS':
    'push push-addresses push-bounds push-failures fault-vanished-client',
  'they test the start of one process, or the key file, which a node does not have':
    'config start start-signal closed-log unwritable push-key',
  'they break or trace the disk of one process':
    'damage disk-full disk-place disk-unreadable sync power-cut commit-cost crash fault-failing-disk fault-full-disk fault-locked fault-writer-thread',
  'they begin with the database of a single node, or remove its history':
    'upgrade restore settings-and-epochs leave-cluster',
  'each node has its own limits, counters, memory, open files and lastSeen':
    'limits stream-frames metrics descriptors fault-dripping fault-open-files fault-herd request-log log-output presence-grace slow-reader',
  'each node reads its own keys, and logs their problems itself': 'key-rotation key-url secret-rotation',
  'they set the clock of one machine, which does not set the time of a cluster':
    'fault-clock fault-push-clock',
};

/**
 * Tests in the other suites that are about one process as well: about its limits, memory, counters or disk, or about a device
 * that sees everything that one process acknowledges before it ends.
 */
const TESTS_OF_ONE_PROCESS = {
  bodies: ['large bodies that drip', 'large WebSocket messages that drip'],
  end: ['publishes in flight are answered'],
  'long-headers': ['long headers that never end', 'long trailers that never end'],
  protocols: [
    'a device counts as a stream of its client',
    'a device that cannot see a status is told in band that there are too many',
  ],
  retention: ['a purge of a large log goes in small steps'],
  'web-socket-access': ['a page whose session has expired is told so in band', 'sockets count as streams'],
  'web-socket-publish': [
    'a publish on a socket, and its refusal, count in the metrics',
    'publishes on a socket are held to the rate of their client',
    'publishes on a socket are refused for now while the log cannot be written',
    'a flood of small publishes on a socket is answered whole',
    'at most 64 publishes of a socket',
  ],
};

/** The suites that CI runs: the requests, and each promise to a device. `cluster-push` has notifications, on two nodes. */
export const IN_CI =
  'publish idempotency delivery stream-start web-socket conversation-pages presence session';

const left = Object.values(OF_ONE_PROCESS).join(' ').replaceAll(' ', '|');

/** @type {import('jest').Config} */
export default {
  ...one,
  testMatch: ['<rootDir>/__tests__/{fuzz,integration}/*.test.ts'],
  testPathIgnorePatterns: [`/integration/(${left})\\.test\\.ts$`],
  testEnvironment: '<rootDir>/__tests__/support/nodes-environment.js',
  testEnvironmentOptions: { skipped: TESTS_OF_ONE_PROCESS },
  setupFilesAfterEnv: ['<rootDir>/__tests__/support/on-nodes.ts'],
};
