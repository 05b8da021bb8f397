/** The suites of one service, run on nodes of a cluster that look like one: `npm run test:cluster`. CI runs some of them. */
import one from './jest.config.js';

/** Suites that cannot hold on nodes, or say nothing of them, each kind with its reason. */
const OF_ONE_PROCESS = {
  'they start no service, or start it in their own way':
    'bench bench-hostile container docs in-process kubernetes nginx systemd wire-tap',
  'they are of the client, whichever service it has': 'package-[a-z]+ client-transports',
  'they start nodes and NATS themselves': 'cluster-[a-z-]+ nats-[a-z-]+',
  'they run the service in a network of its own, in which there is no NATS':
    'push push-addresses push-bounds push-failures fault-vanished-client',
  'they are of the start of one process, and of the key file that a node does not have':
    'config start start-signal closed-log unwritable push-key',
  'they break or trace the disk of one process':
    'damage disk-full disk-place disk-unreadable sync power-cut commit-cost crash fault-failing-disk fault-full-disk fault-locked fault-writer-thread',
  'they begin with a database of a single node, or take its history away':
    'upgrade restore settings-and-epochs leave-cluster',
  'limits, counters, memory, open files and lastSeen are for each node':
    'limits stream-frames metrics descriptors fault-dripping fault-open-files fault-herd request-log log-output presence-grace slow-reader',
  'each node reads its keys by itself, and for itself logs what is wrong with them':
    'key-rotation key-url secret-rotation',
  'they set the clock of one machine, which gives no time in a cluster': 'fault-clock fault-push-clock',
};

/**
 * Tests of the other suites that are of one process, too: of its limits, its memory, its counters, its disk, or of a device that sees all
 * of what one process acknowledges before that ends.
 */
const TESTS_OF_ONE_PROCESS = {
  bodies: ['of large bodies that drip', 'of large messages that drip'],
  end: ['answers the publishes in flight'],
  'long-headers': ['of long headers that never end', 'of long trailers that never end'],
  protocols: [
    'is one of those that its client may have open',
    'that would not see a status is told in band that there are too many',
  ],
  retention: ['goes on in small steps'],
  'web-socket-access': [
    'whose session is over is told so in band where it is a page',
    'is one of all the streams',
  ],
  'web-socket-publish': [
    'is counted as any, and its refusal too',
    'is held to the rate of its client',
    'are refused for now where the log cannot be written',
    'of a flood of small ones are all answered',
    'are at most 64 of one socket',
  ],
};

/** Those that CI runs: each request, and each promise to a device. `cluster-push` has notifications, on two nodes. */
const IN_CI =
  'publish idempotency pull delivery stream-start web-socket conversation-pages unseen presence ephemeral session read-permissions purged-reader';

const chosen = process.env['CI'] === 'true' ? `@(${IN_CI.replaceAll(' ', '|')})` : '*';
const left = Object.values(OF_ONE_PROCESS).join(' ').replaceAll(' ', '|');

/** @type {import('jest').Config} */
export default {
  ...one,
  testMatch: [`<rootDir>/__tests__/integration/${chosen}.test.ts`],
  testPathIgnorePatterns: [`/integration/(${left})\\.test\\.ts$`],
  testEnvironment: '<rootDir>/__tests__/support/nodes-environment.js',
  testEnvironmentOptions: { skipped: TESTS_OF_ONE_PROCESS },
  setupFilesAfterEnv: ['<rootDir>/__tests__/support/on-nodes.ts'],
};
