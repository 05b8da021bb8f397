/** The reason why the service cannot start: one line with the problem and what to do. The process exits with code 1. */
export class StartError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartError';
  }
}
