import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ClientProject, describeWithClientTools, runProgram, toolFile } from '../support/client-package.ts';
import { cleanUp } from '../support/server.ts';

/** The oldest version that the package promises, one between, and the newest. */
const COMPILERS = ['typescript-5', 'typescript-6', 'typescript-7'] as const;

const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  target: 'es2022',
};

/** Projects of a page that is bundled, and of a program in Node without the types of a page. */
const PROJECTS = {
  bundler: {
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2022', 'dom', 'dom.iterable'],
    types: [],
  },
  nodenext: {
    module: 'nodenext',
    moduleResolution: 'nodenext',
    lib: ['es2022'],
    types: ['node'],
    typeRoots: [toolFile('@types')],
  },
};

/** Uses every option, method and type. */
const USE = `
import { connect, Problem, Unreachable, Unsent } from 'tidings-client';
import type {
  Connection, Draft, Entry, Frame, GapReason, HistoryPage, Message, Options, Presence, Status, Stored,
} from 'tidings-client';

const closing = new AbortController();
const options: Options = {
  recipient: ['alice', 'room-lunch'],
  sender: 'alice',
  url: new URL('https://push.example.org/'),
  cursor: '17-a',
  last: 10,
  presence: ['bob'],
  token: () => Promise.resolve('token'),
  transport: 'fetch',
  signal: closing.signal,
  onMessage: async (message) => {
    const { id, sender, content }: Stored = message;
    const text: string = typeof content === 'string' ? content : JSON.stringify(content);
    await Promise.resolve([id.toFixed(), sender.length, text]);
  },
  onEvent: (event: Presence | Message) => {
    if ('online' in event) console.log(event.recipient, event.online, event.devices, event.lastSeen);
    else console.log(event.sender, event.content, event.id?.toFixed());
  },
  onStatus: (status: Status) => {
    const state:
      'connecting' | 'catching-up' | 'live' | 'offline' | 'expired' | 'refused' | 'replaced' | 'signed-out' | 'closed' = status.state;
    const transport: 'stream' | 'polling' = status.transport;
    const facts: [boolean, boolean, string, number, number] =
      [status.shared, status.persistent, status.detail, status.caughtUp, status.waiting];
    const problem: string | undefined = status.problem?.detail;
    console.log(state, transport, facts, status.problem?.status.toFixed(), problem);
  },
  onGap: ({ reason, cursor }) => {
    const why: GapReason = reason;
    console.log(why === 'purged', cursor.length);
  },
  onFrame: ({ event, id, data, at }: Frame) => console.log(event.length, id.length, data.length, at.toFixed()),
  onExpired: () => Promise.resolve(new Map()),
  onRefused: ({ draft, problem }) => {
    const entry: Entry = draft;
    console.log(entry.idempotencyKey.length, entry.content, problem instanceof Problem, problem.status.toFixed());
  },
};
const inbox: Connection = connect(options);

const kept: string | undefined = ['17-a'][1];
connect({ recipient: 'alice', url: 'https://push.example.org/', cursor: kept, sender: kept, last: undefined });
connect({ recipient: 'alice', url: '/', token: () => 'token', transport: 'polling', onMessage: () => 7 });
connect({ recipient: 'alice', url: '/', transport: 'event-source', onExpired: () => undefined });

export async function use(): Promise<void> {
  const draft: Draft = {
    recipient: 'bob', content: { any: ['JSON', 1, null] }, sender: 'alice', type: 'note', ttl: 60, background: true,
    idempotencyKey: 'one',
  };
  const stored: Stored = await inbox.send(draft);
  const devices: number | undefined = await inbox.sendEphemeral({ recipient: 'bob', content: 'typing' });
  const marker: Stored = await inbox.markRead('bob', stored.id);
  for await (const message of inbox.messages()) {
    const one: Stored = message;
    if (one.id === marker.id) break;
  }
  let page: HistoryPage = await inbox.history();
  if (page.more) page = await inbox.history({ before: page.before, limit: 20 });
  page = await inbox.history({ limit: 20 });
  const first: Stored | undefined = page.messages[0];
  const position: [string, string | undefined] = [page.cursor, inbox.cursor];
  const waiting: readonly Entry[] = inbox.outbox;
  const status: Status = inbox.status;
  inbox.watch(['bob', 'carol']);
  inbox.reconnect();
  try {
    await inbox.signOut();
  } catch (error) {
    if (error instanceof Unsent) console.log(error.entries.length, error.message);
    else if (error instanceof Problem) console.log(error.status.toFixed(), error.detail, error.errors.length);
    else if (error instanceof Unreachable) console.log(error.message);
  }
  await inbox.signOut({ discard: true });
  inbox.close();
  await inbox[Symbol.asyncDispose]();
  console.log(devices, first?.createdAt, first?.expiresAt, position, waiting.length, status);
}

/** Stands for the connection in a test of an application. */
export const fake: Connection = {
  send: (draft) => Promise.resolve({ id: 1, type: 'message', sender: 'alice', createdAt: '', ...draft } as Stored),
  sendEphemeral: () => Promise.resolve(0),
  markRead: () => Promise.reject(new Problem(404, 'not found')),
  async *messages() {},
  history: () => Promise.reject(new Unreachable(undefined)),
  watch: () => undefined,
  reconnect: () => undefined,
  close: () => undefined,
  signOut: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
  cursor: undefined,
  outbox: [],
  status: inbox.status,
};
`;

/** Each statement is wrong. */
const MISUSE = [
  `connect({ ...rest, onmessage: () => undefined });`,
  `connect({ ...rest, recipient: 7 });`,
  `connect({ ...rest, recipient: [7] });`,
  `connect({ url: '/' });`,
  `connect();`,
  `connect({ ...rest, last: '10' });`,
  `connect({ ...rest, token: 'token' });`,
  `connect({ ...rest, token: () => 7 });`,
  `connect({ ...rest, transport: 'web-socket' });`,
  `connect({ ...rest, signal: new AbortController() });`,
  `connect({ ...rest, onMessage: (message: string) => undefined });`,
  `connect({ ...rest, onMessage: ({ content }) => content.length });`,
  `inbox.send('hi');`,
  `inbox.send({ recipient: 'bob' });`,
  `inbox.send({ recipient: 'bob', content: 'hi', to: 'carol' });`,
  `inbox.markRead('bob');`,
  `inbox.history({ limit: '5' });`,
  `inbox.signOut(true);`,
  `inbox.cursor = '17-a';`,
  `inbox.outbox.push();`,
  `inbox.status.state === 'gone';`,
  `inbox.start();`,
  `new Problem();`,
];

describeWithClientTools('the types of the package tidings-client', () => {
  let project: ClientProject;
  beforeAll(async () => {
    const wrong = MISUSE.map((statement) => `// @ts-expect-error\n${statement}`).join('\n');
    project = await ClientProject.create({
      'use.ts': USE,
      'misuse.ts': `import { connect, Problem } from 'tidings-client';
const rest = { url: '/', recipient: 'alice' };
const inbox = connect(rest);
${wrong}
`,
    });
    const readme = project.read('node_modules/tidings-client/README.md').toString();
    const [, sample = ''] = /```js\n(.+?)```/s.exec(readme) ?? [];
    expect(sample).toContain('connect(');
    project.write({ 'readme.ts': sample });
  });
  afterAll(cleanUp);

  test.each(
    COMPILERS.flatMap((one) => (['bundler', 'nodenext'] as const).map((kind) => [one, kind] as const)),
  )(
    'the types accept every right use, as in the README, and refuse each wrong one, in %s with "%s"',
    async (compiler, kind) => {
      const config = { compilerOptions: { ...STRICT, ...PROJECTS[kind] }, include: ['*.ts'] };
      const file = `tsconfig.${compiler}.${kind}.json`;
      project.write({ [file]: JSON.stringify(config) });
      const printed = await runProgram(
        process.execPath,
        [toolFile(`${compiler}/bin/tsc`), '-p', file],
        project.folder,
      );
      expect(printed).toBe('');
    },
  );
});
