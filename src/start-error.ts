/** The reason why the service cannot start, or a command has failed: one line with the problem and what to do. */
export class StartError extends Error {
  /** The exit code of the process. */
  readonly exitCode: number = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
  }
}

/** The error of a wrong command line: a command, a flag or an operand. Nothing has been started. */
export class UsageError extends StartError {
  override readonly exitCode = 2;
}
