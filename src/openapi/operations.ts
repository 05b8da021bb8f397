import type { Path } from '../http/paths.ts';
import { CONVERSATION_PARAMETERS } from '../http/routes/conversations.ts';
import { PRESENCE_PARAMETERS } from '../http/routes/presence.ts';
import { SUBSCRIPTION_PARAMETERS } from '../http/routes/push-subscriptions.ts';
import { named } from '../schema.ts';
import { MESSAGE_OPERATIONS, STREAM_OPERATIONS } from './message-operations.ts';
import { FORM_TYPE, JSON_TYPE, jsonAnswer, type Operations } from './operation.ts';

const SESSION_ANSWER = jsonAnswer('The name and the grants of the client.', named('Session'));

const PEOPLE_OPERATIONS: Operations<'/conversations' | '/presence' | '/session'> = {
  '/conversations': {
    get: {
      operationId: 'listConversations',
      tag: 'People',
      summary: 'The conversations of an address',
      description:
        'The conversations of the address with others that have at least one message that counts, newest first. With ' +
        '`peer`, the conversation with that address, even if it has no messages. With `room`, the state of the address in ' +
        'a room, which must also be in `read`.',
      grants: ['read'],
      query: CONVERSATION_PARAMETERS,
      answers: { 200: jsonAnswer('A page of conversations, or the requested one.', named('Conversations')) },
      refusals: [],
    },
  },
  '/presence': {
    get: {
      operationId: 'getPresence',
      tag: 'People',
      summary: 'Who is online',
      description:
        'An address is online while it is followed by an open stream or socket, or by a held poll.',
      grants: ['presence'],
      query: PRESENCE_PARAMETERS,
      answers: { 200: jsonAnswer('The presence of each address.', named('Presences')) },
      refusals: [],
    },
  },
  '/session': {
    get: {
      operationId: 'getSession',
      tag: 'People',
      summary: 'Who the client is',
      description: 'Tells a client its name and its grants.',
      grants: [],
      answers: { 200: SESSION_ANSWER },
      refusals: [],
    },
    put: {
      operationId: 'openSession',
      tag: 'People',
      summary: 'Store a token in a cookie',
      description: 'Needs the token as `Authorization: Bearer`. In open mode there are no sessions: 404.',
      grants: [],
      answers: { 200: SESSION_ANSWER },
      refusals: ['not-found'],
    },
    delete: {
      operationId: 'endSession',
      tag: 'People',
      summary: 'Remove the cookie',
      description: 'Succeeds even if there is no cookie. In open mode there are no sessions: 404.',
      answers: { 204: { description: 'There is no session now.' } },
      refusals: ['not-found'],
    },
  },
};

const PUSH_OPERATIONS: Operations<'/push-key' | '/push-subscriptions'> = {
  '/push-key': {
    get: {
      operationId: 'getPushKey',
      tag: 'Notifications',
      summary: 'The key to subscribe with',
      description: 'Browsers need it to subscribe to notifications (Web Push).',
      grants: [],
      answers: { 200: jsonAnswer('The key.', named('PushKey')) },
      refusals: [],
    },
  },
  '/push-subscriptions': {
    get: {
      operationId: 'listPushSubscriptions',
      tag: 'Notifications',
      summary: 'The devices that are notified',
      description:
        "The subscriptions to an address's messages, oldest first. For a room, only those whose reader is in `read`.",
      grants: ['read'],
      query: SUBSCRIPTION_PARAMETERS,
      answers: { 200: jsonAnswer('A page of subscriptions.', named('PushSubscriptions')) },
      refusals: [],
    },
    post: {
      operationId: 'subscribeToPush',
      tag: 'Notifications',
      summary: 'Subscribe a device to notifications',
      description:
        'A page may repeat this at each start. It counts against the publish rate, as a publish does.',
      grants: ['read'],
      body: { [JSON_TYPE]: named('Subscribe') },
      answers: {
        200: jsonAnswer('The device was subscribed before.', named('PushSubscription')),
        201: jsonAnswer('The device is new.', named('PushSubscription')),
      },
      refusals: ['conflict', 'too-fast'],
    },
    delete: {
      operationId: 'unsubscribeFromPush',
      tag: 'Notifications',
      summary: 'End notifications of a device',
      description:
        'An `id` is 404 if `GET` does not show such a subscription to the client. An `endpoint` is never 404.',
      grants: ['read'],
      body: { [JSON_TYPE]: named('Unsubscribe'), [FORM_TYPE]: named('Unsubscribe') },
      answers: { 204: { description: 'The device is no longer notified.' } },
      refusals: ['not-found'],
    },
  },
};

const SERVICE_OPERATIONS: Operations<'/healthz' | '/readyz' | '/metrics' | '/openapi.json' | '/cluster'> = {
  '/healthz': {
    get: {
      operationId: 'getHealth',
      tag: 'Service',
      summary: 'Whether the process is alive',
      description: 'For a supervisor that restarts the process.',
      answers: { 200: jsonAnswer('It is alive.', named('Health')) },
      refusals: [],
    },
  },
  '/readyz': {
    get: {
      operationId: 'getReadiness',
      tag: 'Service',
      summary: 'Whether the service works',
      description:
        'Tries to write, to find room for a publish, and to read from the disk. If one of these fails, answers 503 with the reason.',
      answers: { 200: jsonAnswer('It works.', named('Readiness')) },
      refusals: [],
    },
  },
  '/metrics': {
    get: {
      operationId: 'getMetrics',
      tag: 'Service',
      summary: 'The metrics of the service',
      description: "In Prometheus' text format.",
      grants: ['metrics'],
      answers: { 200: { description: 'The metrics.', content: { 'text/plain': { type: 'string' } } } },
      refusals: [],
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'getDescription',
      tag: 'Service',
      summary: 'This description',
      description: 'It is generated from the tables that the service checks requests with.',
      answers: {
        200: jsonAnswer('OpenAPI 3.1.', { type: 'object' }),
        304: { description: 'The client has this version (`If-None-Match`).' },
      },
      refusals: ['precondition-failed'],
    },
  },
  '/cluster': {
    get: {
      operationId: 'getCluster',
      tag: 'Service',
      summary: 'The nodes of the cluster',
      description: 'The cluster as this node sees it. A single node does not have this path.',
      grants: ['metrics'],
      answers: { 200: jsonAnswer('The cluster.', named('Cluster')) },
      refusals: ['not-found'],
    },
  },
};

/** Every operation of the service, by path and method. The compiler rejects it if one is missing. */
export const OPERATIONS: Operations<Path> = {
  ...MESSAGE_OPERATIONS,
  ...STREAM_OPERATIONS,
  ...PEOPLE_OPERATIONS,
  ...PUSH_OPERATIONS,
  ...SERVICE_OPERATIONS,
};
