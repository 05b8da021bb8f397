import { rawProblem } from './problem.ts';

/** The answer on a connection whose header takes memory that others need. */
export const TOO_MANY_HEADERS = rawProblem(
  503,
  'Too many long headers are arriving at once. Send the request again later.',
  1,
);

/**
 * Returns the answer to bytes that are not a request, for which node:http has no response.
 *
 * @param code the code of node:http's error
 * @returns a whole response
 */
export function unreadableAnswer(code: string | undefined): string {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return rawProblem(408, 'The request took too long to arrive.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return rawProblem(413, 'A chunk of the body has more than 16 KiB of extensions.');
    case 'HPE_HEADER_OVERFLOW':
      return rawProblem(431, 'The request line and the header fields take more than 320 KiB together.');
    default:
      return rawProblem(400, 'This is not an HTTP request.');
  }
}
