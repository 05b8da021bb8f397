import { openFileLimit } from '../config/open-files.ts';
import { nearestName } from '../misspelt.ts';
import { UsageError } from '../start-error.ts';
import { tidingsVersion } from '../version.ts';

/** A command of the program. */
interface Command {
  /** Returns what `--help` prints. */
  readonly help: () => string;
  /**
   * Runs the command.
   *
   * @param args the arguments after its name
   * @returns the exit code
   * @throws {StartError} with a line for the person who runs it
   */
  readonly run: (args: readonly string[]) => Promise<number>;
}

interface Entry {
  readonly about: string;
  /** Loads the modules of the command, which the other commands do not need. */
  readonly load: () => Promise<Command>;
}

const DEFAULT_COMMAND = 'serve';

const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: { about: 'runs the service (the default)', load: () => import('./serve.ts') },
  token: { about: 'prints a token to try the service with', load: () => import('./token.ts') },
  backup: {
    about: 'copies the database, even while the service runs, and checks the copy',
    load: () => import('./backup.ts'),
  },
  restore: { about: 'replaces the database with a backup', load: () => import('./restore.ts') },
  check: {
    about: 'checks the database, its permissions and its disk, and changes nothing',
    load: () => import('./check.ts'),
  },
  healthcheck: {
    about: 'asks the service on this machine whether it works, for containers',
    load: () => import('./healthcheck.ts'),
  },
  cluster: { about: 'sets up and manages several nodes that share one log', load: loadCluster },
};

/**
 * Runs the program: a command, `--help` or `--version`.
 *
 * @param args the command line after the program's name
 * @returns the exit code
 * @throws {StartError} with a line for the person who runs it
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  const [first = ''] = args;
  const isNamed = first !== '' && !first.startsWith('-');
  if (!isNamed && asksForHelp(args)) return print(programHelp());
  if (first === '--version') return print(`tidings ${tidingsVersion()}\n`);
  const name = isNamed ? first : DEFAULT_COMMAND;
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) throw new UsageError(unknownCommand(name));
  const command = await entry.load();
  const rest = isNamed ? args.slice(1) : args;
  if (asksForHelp(rest)) return print(command.help());
  return command.run(rest);
}

async function loadCluster(): Promise<Command> {
  const { CLUSTER_USAGE, runClusterCommand } = await import('../cluster/command.ts');
  const run = async (args: readonly string[]): Promise<number> => {
    await runClusterCommand(args, openFileLimit());
    return 0;
  };
  return { help: () => CLUSTER_USAGE, run };
}

function asksForHelp(args: readonly string[]): boolean {
  return args.includes('--help') || args.includes('-h');
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function unknownCommand(name: string): string {
  const nearest = nearestName(name, Object.keys(COMMANDS));
  const meant = nearest === undefined ? '' : ` Did you mean "${nearest}"?`;
  return `There is no command "${name.slice(0, 100)}".${meant} tidings --help lists the commands.`;
}

function programHelp(): string {
  const rows = Object.entries(COMMANDS).map(([name, { about }]) => `  ${name.padEnd(12)} ${about}\n`);
  return `Usage: tidings [COMMAND] [--flag value]...

${rows.join('')}
  --version    prints the version
  --help       prints this help; after a command, the help of that command

Examples:
  tidings                              serves only this machine on port 7070, without tokens
  tidings serve --help                 lists the settings: each is a flag and an environment variable
  tidings backup /backups/monday.sqlite

Exit codes: 0: success; 1: failure, with a line that says why; 2: the command line is wrong, and nothing was done.
`;
}
