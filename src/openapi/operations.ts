import type { Path } from '../http/paths.ts';
import { CONVERSATION_PARAMETERS } from '../http/routes/conversations.ts';
import { PRESENCE_PARAMETERS } from '../http/routes/presence.ts';
import { SUBSCRIPTION_PARAMETERS } from '../http/routes/push-subscriptions.ts';
import { named } from '../schema.ts';
import { MESSAGE_OPERATIONS, STREAM_OPERATIONS } from './message-operations.ts';
import { FORM_TYPE, JSON_TYPE, jsonAnswer, type Operations } from './operation.ts';

const SESSION_ANSWER = jsonAnswer('Who the client is, and what it may do.', named('Session'));

const PEOPLE_OPERATIONS: Operations<'/conversations' | '/presence' | '/session'> = {
  '/conversations': {
    get: {
      operationId: 'listConversations',
      tag: 'People',
      summary: 'The conversations of an address',
      description:
        'The pairs of the address and another one that have a message that counts, newest first. With `peer` it is that ' +
        'one pair, also without a message; with `room` how the address stands in a room, which must be in `read` too.',
      grants: ['read'],
      query: CONVERSATION_PARAMETERS,
      answers: { 200: jsonAnswer('A page of conversations, or the one.', named('Conversations')) },
      refusals: [],
    },
  },
  '/presence': {
    get: {
      operationId: 'getPresence',
      tag: 'People',
      summary: 'Who is online',
      description:
        'An address is online while a stream or socket is open, or a poll is held, that follows it.',
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
      description: 'Tells a client who it is and what it may do.',
      grants: [],
      answers: { 200: SESSION_ANSWER },
      refusals: [],
    },
    put: {
      operationId: 'openSession',
      tag: 'People',
      summary: 'Keep a token as a cookie',
      description: 'Needs the token as `Authorization: Bearer`. In open mode there are no sessions: 404.',
      grants: [],
      answers: { 200: SESSION_ANSWER },
      refusals: ['not-found'],
    },
    delete: {
      operationId: 'endSession',
      tag: 'People',
      summary: 'Remove the cookie',
      description: 'Also if there is none. In open mode there are no sessions: 404.',
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
      description: 'A browser subscribes to notifications (Web Push) with it.',
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
        "The subscriptions to an address's messages, oldest first. Of a room, those of readers in `read`.",
      grants: ['read'],
      query: SUBSCRIPTION_PARAMETERS,
      answers: { 200: jsonAnswer('A page of subscriptions.', named('PushSubscriptions')) },
      refusals: [],
    },
    post: {
      operationId: 'subscribeToPush',
      tag: 'Notifications',
      summary: 'Have a device notified',
      description: 'May be repeated at each start of a page. Takes from the publish rate as a publish does.',
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
        '404 if there is no subscription of this `id` that `GET` shows to the client; an endpoint is never 404.',
      grants: ['read'],
      body: { [JSON_TYPE]: named('Unsubscribe'), [FORM_TYPE]: named('Unsubscribe') },
      answers: { 204: { description: 'It is not notified any more.' } },
      refusals: ['not-found'],
    },
  },
};

const SERVICE_OPERATIONS: Operations<'/healthz' | '/readyz' | '/metrics' | '/openapi.json' | '/cluster'> = {
  '/healthz': {
    get: {
      operationId: 'getHealth',
      tag: 'Service',
      summary: 'Whether the process lives',
      description: 'For a supervisor that starts it again.',
      answers: { 200: jsonAnswer('It does.', named('Health')) },
      refusals: [],
    },
  },
  '/readyz': {
    get: {
      operationId: 'getReadiness',
      tag: 'Service',
      summary: 'Whether the service works',
      description:
        'Tries a write, room for a publish, and a read from the disk. 503 with the reason if one fails.',
      answers: { 200: jsonAnswer('It works.', named('Readiness')) },
      refusals: [],
    },
  },
  '/metrics': {
    get: {
      operationId: 'getMetrics',
      tag: 'Service',
      summary: 'What is counted and measured',
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
      description: 'It is made from the tables by which the service checks what it gets.',
      answers: {
        200: jsonAnswer('OpenAPI 3.1.', { type: 'object' }),
        304: { description: 'The client has it: `If-None-Match`.' },
      },
      refusals: ['precondition-failed'],
    },
  },
  '/cluster': {
    get: {
      operationId: 'getCluster',
      tag: 'Service',
      summary: 'The nodes of the cluster',
      description: 'What this node knows. A service that is a single node does not have this path.',
      grants: ['metrics'],
      answers: { 200: jsonAnswer('The cluster.', named('Cluster')) },
      refusals: ['not-found'],
    },
  },
};

/** Every operation of the service, by path and method. The compiler refuses it if one is missing. */
export const OPERATIONS: Operations<Path> = {
  ...MESSAGE_OPERATIONS,
  ...STREAM_OPERATIONS,
  ...PEOPLE_OPERATIONS,
  ...PUSH_OPERATIONS,
  ...SERVICE_OPERATIONS,
};
