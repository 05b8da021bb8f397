import { PULL_PARAMETERS } from '../http/routes/pull.ts';
import { STREAM_PARAMETERS } from '../http/stream-request.ts';
import type { Parameters } from '../http/parameters.ts';
import { KEY } from '../message-rules.ts';
import { listOf, named } from '../schema.ts';
import { CLOSE_CODES } from '../ws/web-socket-connection.ts';
import { FORM_TYPE, JSON_TYPE, jsonAnswer, type Operations } from './operation.ts';

const PUBLISHED = { anyOf: [named('Message'), named('MessageList')] };

const LAST_EVENT_ID: Parameters = {
  'Last-Event-ID': {
    description: 'Where the stream begins: after this cursor. Browsers send it when they come back.',
    schema: { type: 'string' },
  },
};

/** The lists of messages that have a name of their own. */
export const MESSAGE_LIST = listOf(named('Message'), { minItems: 1 });

export const MESSAGE_OPERATIONS: Operations<'/messages' | '/messages/{id}'> = {
  '/messages': {
    get: {
      operationId: 'listMessages',
      tag: 'Messages',
      summary: 'Pull messages',
      description:
        'One of three forms, which cannot be mixed: `recipient` with `after`, `limit` and `wait`, what comes after a cursor; ' +
        '`recipient` with `before` and `limit`, a page before an id; `between` twice with `before` and `limit`, what two ' +
        'addresses sent to each other.',
      grants: ['read'],
      query: PULL_PARAMETERS,
      answers: {
        200: jsonAnswer('A page, by ascending id.', { anyOf: [named('PageAfter'), named('PageBefore')] }),
      },
      refusals: [],
    },
    post: {
      operationId: 'publish',
      tag: 'Messages',
      summary: 'Publish',
      description:
        'Stores one message, or a batch whole and in order, and answers when that is on disk. A 503 says in `stored` ' +
        'whether anything may have been stored.',
      grants: ['sendAs', 'sendTo'],
      headers: {
        'Idempotency-Key': {
          description:
            'The `idempotencyKey` of a single message. Not with one in the body, nor with a batch.',
          schema: KEY.schema,
        },
      },
      body: {
        [JSON_TYPE]: { anyOf: [named('Draft'), named('Batch')] },
        [FORM_TYPE]: named('FormDraft'),
      },
      answers: {
        200: jsonAnswer('Nothing new was stored; this is what stands.', PUBLISHED),
        201: {
          ...jsonAnswer('Stored: the message, or those of a batch in order.', PUBLISHED),
          headers: {
            Location: {
              description: 'The path of a single message.',
              schema: { type: 'string' },
            },
          },
        },
        202: jsonAnswer('An ephemeral message was handed on.', named('EphemeralOutcome')),
      },
      refusals: ['conflict', 'too-fast'],
    },
  },
  '/messages/{id}': {
    get: {
      operationId: 'getMessage',
      tag: 'Messages',
      summary: 'One message',
      description: 'What one may not read looks the same whether it exists or not: 404.',
      grants: ['read'],
      path: { id: { description: 'Its id.', schema: named('MessageId') } },
      answers: { 200: jsonAnswer('The message.', named('Message')) },
      refusals: ['not-found'],
    },
  },
};

export const STREAM_OPERATIONS: Operations<'/stream' | '/ws'> = {
  '/stream': {
    get: {
      operationId: 'openStream',
      tag: 'Streams',
      summary: 'Follow inboxes as Server-Sent Events',
      description:
        'Each block of the stream is a `StreamEvent`. A client whose `Accept` names `text/event-stream` gets 200, `bye` and ' +
        'the end in place of a 503, or if its session does not count.',
      grants: ['read', 'presence'],
      query: STREAM_PARAMETERS,
      headers: LAST_EVENT_ID,
      answers: {
        200: {
          description: 'A stream, which goes on until one of the two ends it.',
          content: {
            'text/event-stream': {
              type: 'string',
              description: 'Blocks, each ended by an empty line.',
              contentMediaType: 'text/event-stream',
              contentSchema: listOf(named('StreamEvent')),
            },
          },
        },
      },
      refusals: [],
    },
  },
  '/ws': {
    get: {
      operationId: 'openSocket',
      tag: 'Streams',
      summary: 'Follow inboxes on a WebSocket, and publish',
      description:
        'A handshake of RFC 6455. Each message of the server is a `SocketEvent`, each of the client a `SocketRequest`, as ' +
        'text. With the session cookie, the `Origin` must be this site or allowed.',
      grants: ['read', 'presence', 'sendAs', 'sendTo'],
      query: STREAM_PARAMETERS,
      headers: LAST_EVENT_ID,
      answers: {
        101: jsonAnswer(
          'The WebSocket is open. So is each message on it, in both directions.',
          named('SocketMessage'),
        ),
      },
      refusals: ['upgrade-required'],
      more: {
        'x-websocket': {
          server: named('SocketEvent'),
          client: named('SocketRequest'),
          closeCodes: CLOSE_CODES,
        },
      },
    },
  },
};
