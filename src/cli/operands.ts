import { parseArgs, type ParseArgsConfig } from 'node:util';
import { flagFault } from '../flag-fault.ts';
import { UsageError } from '../start-error.ts';

/** The arguments that a command takes. */
interface Shape<Flags extends NonNullable<ParseArgsConfig['options']>> {
  /** The name of the command, for error messages. */
  readonly command: string;
  readonly flags: Flags;
  /** The names of the operands, all of which are required; none by default. */
  readonly operands?: readonly string[];
}

type Values<Flags extends NonNullable<ParseArgsConfig['options']>> = ReturnType<
  typeof parseArgs<{ args: string[]; options: Flags; allowPositionals: true }>
>['values'];

/**
 * Reads the flags and operands after the name of a command.
 *
 * @returns the operands in their order
 * @throws {UsageError} if a flag is unknown or has no value, or there are too few or too many operands
 */
export function readArguments<const Flags extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  { command, flags, operands: names = [] }: Shape<Flags>,
): { readonly flags: Values<Flags>; readonly operands: readonly string[] } {
  const advice = `tidings ${command} --help shows how.`;
  let read;
  try {
    read = parseArgs({ args: [...args], options: flags, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${flagFault(error)} ${advice}`);
  }
  const { values, positionals: operands } = read;
  const missing = names[operands.length];
  if (missing !== undefined) throw new UsageError(`${command} needs a ${missing}: ${advice}`);
  const extra = operands[names.length];
  if (extra !== undefined) {
    throw new UsageError(`${command} does not know what to do with "${extra.slice(0, 100)}": ${advice}`);
  }
  return { flags: values, operands };
}
