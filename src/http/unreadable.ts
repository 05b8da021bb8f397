import { MAX_PIECES, MIN_PIECE_BYTES } from './http-connection.ts';
import { rawProblem } from './problem.ts';

/** Returns the whole response to a body in too many pieces. */
export function tooManyPieces(basePath: string): string {
  const pieces = `more than ${MAX_PIECES} pieces of less than ${MIN_PIECE_BYTES} bytes each`;
  return rawProblem('too-large', basePath, `The body came in ${pieces}. Send it in larger chunks.`);
}

/** Returns the whole response on a connection whose header takes memory that others need. */
export function tooManyHeaders(basePath: string): string {
  const detail = 'Too many long headers are arriving at once. Send the request again later.';
  return rawProblem('unavailable', basePath, detail, 1);
}

/**
 * Returns the answer to bytes that are not a request, for which node:http has no response.
 *
 * @param code the code of node:http's error
 * @param basePath the prefix of this service's paths, as clients see them
 * @returns a whole response
 */
export function unreadableAnswer(code: string | undefined, basePath: string): string {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return rawProblem('request-timeout', basePath, 'The request took too long to arrive.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return rawProblem('too-large', basePath, 'A chunk of the body has more than 16 KiB of extensions.');
    case 'HPE_HEADER_OVERFLOW':
      return rawProblem(
        'header-too-large',
        basePath,
        'The request line and the header fields take more than 320 KiB together.',
      );
    default:
      return rawProblem('malformed', basePath, 'This is not an HTTP request.');
  }
}
