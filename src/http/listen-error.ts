import { StartError } from '../start-error.ts';

/** Returns the line that tells the operator why the port cannot be opened, and what to set instead. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): StartError {
  if (error.code === 'EADDRINUSE') {
    return new StartError(
      `PORT ${port} on ${host} is in use by another program. Stop that program, or set PORT to another port (0: any free one).`,
    );
  }
  if (error.code === 'EACCES') {
    return new StartError(`PORT ${port} is reserved for the administrator. Set PORT to 1024 or more.`);
  }
  return new StartError(
    `The service cannot listen on HOST ${host} (${error.message}). Set HOST to 127.0.0.1.`,
  );
}
