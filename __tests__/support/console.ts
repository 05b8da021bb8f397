/** Runs the commands of a Markdown page as they stand, and compares what they print. */
import { type ChildProcess, spawn } from 'node:child_process';
import { until } from './until.ts';

/** A command, or an empty one for what the last stream prints later, and what is to come out. */
export interface ConsoleStep {
  readonly command: string;
  readonly output: string;
}

/** The steps in the ```console blocks of a page, in order. A block without `$` is what the last stream goes on with. */
export function consoleSteps(markdown: string): ConsoleStep[] {
  return [...markdown.matchAll(/^```console\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
    block.split(/^(?=\$ )/m).map((part) => {
      const [first = '', ...rest] = part.split('\n');
      return first.startsWith('$ ')
        ? { command: first.slice(2), output: rest.join('\n') }
        : { command: '', output: part };
    }),
  );
}

/** Makes what differs from run to run the same: times, the tag of the run, the spread of retries. */
export function normalized(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME')
    .replaceAll(/\b(\d+)-[0-9a-z]{6}\b/g, '$1-TAG')
    .replaceAll(/^retry: [1-4]\d{3}$/gm, 'retry: SPREAD')
    .replaceAll(/"retry":[1-4]\d{3}\b/g, '"retry":SPREAD')
    .trim();
}

/** Runs a page's steps one after the other; those that stream go on until `end`. */
export class Console {
  readonly #streams: ChildProcess[] = [];
  #streamed = '';

  /** Runs a step and returns what came out, as soon as it is as long as what is expected. */
  async run({ command, output }: ConsoleStep): Promise<string> {
    if (command === '') {
      const wanted = normalized(output);
      await until(() => normalized(this.#streamed).endsWith(wanted), output, 5000).catch(() => undefined);
      return normalized(this.#streamed).slice(-wanted.length);
    }
    const child = spawn('bash', ['-c', `exec ${command}`], { stdio: ['ignore', 'pipe', 'ignore'] });
    let printed = '';
    const streams = command.startsWith('curl -N');
    if (streams) {
      this.#streams.push(child);
      this.#streamed = '';
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (streams) this.#streamed = printed;
    });
    let over = false;
    child.once('close', () => (over = true));
    await until(() => over || (streams && normalized(printed).length >= normalized(output).length), command);
    return normalized(printed).slice(0, streams ? normalized(output).length : undefined);
  }

  /** Ends the streams. */
  end(): void {
    for (const child of this.#streams) child.kill();
  }
}
