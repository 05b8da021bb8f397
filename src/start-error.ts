/** The reason why the service cannot start, or a command has failed: one line with the problem and what to do. */
export class StartError extends Error {
  /** The process exits with it. */
  readonly exitCode: number = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
  }
}

/** The command line is wrong: a command, a flag or an operand. Nothing was begun. */
export class UsageError extends StartError {
  override readonly exitCode = 2;
}
