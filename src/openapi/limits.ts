import { MAX_FIELD_BYTES, MAX_HEADERS } from '../http/check-header.ts';
import { MAX_FORM_BYTES, MAX_FORM_PAIRS } from '../http/body.ts';
import { MAX_PIECES, MIN_PIECE_BYTES } from '../http/http-connection.ts';
import { PAGE_BYTES } from '../http/page.ts';
import { MAX_PAIRS } from '../http/query.ts';
import { MAX_BODY_BYTES } from '../http/read-body.ts';
import { MAX_TOKEN_BYTES } from '../http/routes/session.ts';
import { MAX_HEADER_BYTES } from '../http/server.ts';
import { MAX_CONTENT_LEVELS, MAX_PARTS } from '../http/strict-json.ts';
import type { MessageRules } from '../publish/message-fields.ts';
import { BOUNDS, MAX_SUBSCRIPTIONS } from '../push/notifier.ts';
import { MAX_MESSAGE_BYTES } from '../ws/handshake.ts';
import { MAX_UNDER_WAY } from '../ws/incoming-messages.ts';

/** Returns the limits that no schema can express, by the thing that they bound. Each is the constant that the service uses. */
export function limits({ maxContentBytes }: MessageRules): object {
  return {
    header: { fields: MAX_HEADERS, fieldBytes: MAX_FIELD_BYTES, bytes: MAX_HEADER_BYTES },
    query: { parameters: MAX_PAIRS },
    body: {
      bytes: MAX_BODY_BYTES,
      valuesAndNames: MAX_PARTS,
      pieces: MAX_PIECES,
      bytesOfPiece: MIN_PIECE_BYTES,
    },
    form: { bytes: MAX_FORM_BYTES, fields: MAX_FORM_PAIRS },
    content: { bytes: maxContentBytes, levels: MAX_CONTENT_LEVELS },
    page: { bytes: PAGE_BYTES },
    socket: { messageBytes: MAX_MESSAGE_BYTES, publishesUnderWay: MAX_UNDER_WAY },
    sessionToken: { bytes: MAX_TOKEN_BYTES },
    subscriptions: {
      devicesOfReader: BOUNDS.devices,
      recipientsOfDevice: BOUNDS.recipients,
      ofClient: BOUNDS.perClient,
      total: MAX_SUBSCRIPTIONS,
    },
  };
}
