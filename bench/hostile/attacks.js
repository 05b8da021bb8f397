import { batches, presence } from './attacks/fan-out.js';
import { bodies, conversations, debugLog, tokensInQuery } from './attacks/costly-requests.js';
import { retention, waiting } from './attacks/log.js';
import { unreadFiles, unreadPages } from './attacks/never-read.js';
import { chunks, fragments } from './attacks/pieces.js';
import { push } from './attacks/push.js';

/** All attacks, in the order of the table. @type {readonly import('./attack.js').Attack[]} */
export const ATTACKS = [
  unreadPages,
  unreadFiles,
  tokensInQuery,
  bodies,
  chunks,
  fragments,
  conversations,
  retention,
  presence,
  batches,
  waiting,
  push,
  debugLog,
];
