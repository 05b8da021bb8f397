#!/usr/bin/env node
/** The program: sets the process up, and runs the command that it was started with. */
import { runProgram } from './cli/program.ts';
import { nodeFault } from './node-version.ts';
import { StartError } from './start-error.ts';

// A closed output must not end the process.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);

// Only this user may use the files that the process makes, including those that SQLite makes in other threads.
process.umask(0o077);
try {
  const fault = nodeFault(process.versions.node);
  if (fault !== undefined) throw new StartError(fault);
  const code = await runProgram(process.argv.slice(2));
  if (code !== 0) process.exitCode = code;
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  process.stderr.write(`tidings: ${error.message.replaceAll(/\s+/g, ' ')}\n`);
  process.exit(error.exitCode);
}
