import { StartError } from '../start-error.ts';

/** Returns the line that tells the operator why the port cannot be opened, and what to set instead. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): StartError {
  if (error.code === 'EADDRINUSE') {
    return new StartError(
      `PORT ${port} on ${host} is in use by another program. Stop that one, or set PORT to another (0 takes a free one).`,
    );
  }
  if (error.code === 'EACCES') {
    return new StartError(`PORT ${port} is kept for the administrator. Set PORT to one of 1024 or more.`);
  }
  return new StartError(`HOST ${host} cannot be listened on (${error.message}). Set HOST to 127.0.0.1.`);
}
