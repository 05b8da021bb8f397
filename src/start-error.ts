/** Why the service cannot start, as one line that says what is wrong and what to do. It ends the process with 1. */
export class StartError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
  }
}
