/** A real server: the built program as a process of its own, with a database in a folder of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach } from '@jest/globals';
import { until } from './until.ts';

/** Of the program and of the judge of the wire: bundled-program.js says why. */
export const BUNDLE = process.env['TIDINGS_BUNDLE'] ?? '';
const MAIN = join(BUNDLE, 'dist/main.js');
const SHIPPED_MAIN = join(import.meta.dirname, '../../dist/main.js');
const WIRE_TAP = pathToFileURL(join(BUNDLE, 'wire-tap.js')).href;

export interface ServerOptions {
  /** The file of the log; by default one in a new folder, which `removeFolders` takes away. */
  readonly database?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** Environment variables of the service. */
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Put before the program: a command that runs it, such as strace. */
  readonly wrapper?: readonly string[];
  readonly uid?: number;
  /** Options of Node.js. */
  readonly nodeArgs?: readonly string[];
  /** Starts the program as it is shipped, and not its bundle. */
  readonly isShipped?: boolean;
  /** Given as `false` by tests of the service's memory: the judge of the wire makes garbage inside of it. */
  readonly tap?: boolean;
}

/** Put before the program: for root the rights of files mean nothing, unless it does without that privilege. */
export const WITHOUT_PRIVILEGE =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', '--'] : [];

/** How a process ended, and all that it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const folders: string[] = [];
const undoings: (() => unknown)[] = [];
const running = new Set<ServerProcess>();
/** The reports of broken laws, one for each tap of this suite, with the number of characters that were taken. */
const wireReports = new Map<string, number>();

/** A new empty folder for a test's files. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-test-'));
  folders.push(folder);
  return folder;
}

/** Has something undone by `cleanUp`, which waits for it, when the servers are gone and the folders are still there. */
export function undoAtEnd(undo: () => unknown): void {
  undoings.push(undo);
}

/** Ends what a test left running and removes its folders. For `afterEach` or `afterAll`. */
export async function cleanUp(): Promise<void> {
  await Promise.all([...running].map((server) => server.kill()));
  for (const undo of undoings.splice(0)) await undo();
  // A service whose wrapper was killed, such as its terminal, may still be ending, and write into its folder.
  const again = { maxRetries: 20, retryDelay: 50 };
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, ...again });
  failOnWireFaults();
}

/**
 * Returns what broke the law of the wire since the last call, on any stream of any server. A report is never removed while
 * a tap may append to it, and a line that is still being written is left for the next call.
 */
export function takeWireFaults(): string[] {
  return [...wireReports].flatMap(([report, taken]) => {
    if (!existsSync(report)) return [];
    const said = readFileSync(report, 'utf8');
    const end = said.lastIndexOf('\n') + 1;
    wireReports.set(report, end);
    return said.slice(taken, end).split('\n').slice(0, -1);
  });
}

function failOnWireFaults(): void {
  const faults = takeWireFaults();
  if (faults.length === 0) return;
  throw new Error(`${faults.length} times against the law of the wire:\n${faults.slice(0, 5).join('\n')}`);
}

// Of whichever suite: the test in which it was said fails.
afterEach(failOnWireFaults);
afterAll(() => {
  for (const report of wireReports.keys()) rmSync(report, { force: true });
});

function newReport(): string {
  const report = join(tmpdir(), `tidings-wire-${randomUUID()}`);
  wireReports.set(report, 0);
  return report;
}

/** Returns the URL of the module that is loaded into a service to check everything that it sends. */
function tapWith(report: string): string {
  return `${WIRE_TAP}?${encodeURIComponent(report)}`;
}

/** The service of a test: a process, or several that are nodes of a cluster and look like one. */
export type Server = Pick<ServerProcess, keyof ServerProcess>;

let startService = (options: ServerOptions): Promise<Server> => ServerProcess.start(options);

/** Has `Server.start` start something else than a process: for suites that are run on a cluster. */
export function startServersWith(start: typeof startService): void {
  startService = start;
}

export const Server = {
  /** Starts a server and waits until it listens. Fails with what it said if it ends instead. */
  start: (options: ServerOptions = {}): Promise<Server> => startService(options),

  /** Starts a server, and does not wait for it. */
  launch: (options: ServerOptions = {}): Server => ServerProcess.launch(options),

  /** Starts a server that is expected to end by itself, and waits for that. */
  run: (options: ServerOptions = {}): Promise<Ended> => ServerProcess.launch(options).ended,
};

/** A process of the service, from its start to its end. */
export class ServerProcess {
  readonly database: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ended>;
  #stdout = '';
  #stderr = '';

  private constructor(options: ServerOptions) {
    this.database = options.database ?? join(newFolder(), 'tidings.sqlite');
    const [command = process.execPath, ...args] = [
      ...(options.wrapper ?? []),
      process.execPath,
      ...(options.nodeArgs ?? []),
      ...(options.tap === false ? [] : ['--import', tapWith(newReport())]),
      options.isShipped === true ? SHIPPED_MAIN : MAIN,
      ...(options.args ?? []),
    ];
    this.#child = spawn(command, args, {
      env: {
        PATH: process.env['PATH'],
        PORT: String(options.port ?? 0),
        DATABASE: this.database,
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    // How the outputs end says nothing: the process may be killed in the middle of a line.
    const ignore = (): void => undefined;
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    for (const output of [this.#child.stdout, this.#child.stderr]) output?.on('error', ignore);
    running.add(this);
    this.#ended = once(this.#child, 'close').then(([code, signal]) => {
      running.delete(this);
      return {
        code: code as number | null,
        signal: signal as NodeJS.Signals | null,
        stdout: this.#stdout,
        stderr: this.#stderr,
      };
    });
  }

  /** Starts a server and waits until it listens. Fails with what it said if it ends instead. */
  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const server = new ServerProcess(options);
    let over: Ended | undefined;
    void server.#ended.then((ended) => (over = ended));
    const begun = (): boolean => over !== undefined || /listens on \S+ /.test(server.#stdout);
    await until(begun, 'the server to listen');
    if (over !== undefined) throw new Error(`the server ended: ${JSON.stringify(over)}`);
    return server;
  }

  /** Starts a server, and does not wait for it. */
  static launch(options: ServerOptions = {}): ServerProcess {
    return new ServerProcess(options);
  }

  /** The URL at which it listens: `http://127.0.0.1:PORT`. */
  get url(): string {
    const origin = /listens on (\S+)/.exec(this.#stdout)?.[1];
    if (origin === undefined) throw new Error('the server does not listen yet');
    return origin;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the server was not started');
    return this.#child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Settles when the process has ended. */
  get ended(): Promise<Ended> {
    return this.#ended;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Freezes it, and waits until all of its threads stand still; SIGCONT lets it go on (Linux). */
  async freeze(): Promise<void> {
    this.signal('SIGSTOP');
    const tasks = `/proc/${this.pid}/task`;
    const isStill = (task: string): boolean => readFileSync(`${tasks}/${task}/stat`, 'utf8').includes(') T ');
    await until(() => readdirSync(tasks).every(isStill), 'the server to stand still');
  }

  /** Waits until the check of the database after the start has ended: it reads all of it in one transaction (Linux). */
  async waitForCheck(): Promise<void> {
    const children = (): string => readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8');
    await until(() => children() === '', 'the end of the check');
  }

  /** Takes away the limit on the size of files that a `prlimit` wrapper has set. */
  raiseFileSizeLimit(): void {
    execFileSync('prlimit', ['--pid', String(this.pid), '--fsize=unlimited']);
  }

  /** Ends it as an operator does. */
  async stop(): Promise<Ended> {
    this.signal('SIGTERM');
    return this.#ended;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<Ended> {
    this.signal('SIGKILL');
    return this.#ended;
  }
}
