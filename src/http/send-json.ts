import type { ServerResponse } from 'node:http';

/**
 * Answers with JSON. Headers that were set before go along.
 *
 * @param json text that is JSON already
 * @param headers what is sent beside the type and the length
 */
export function sendJson(
  response: ServerResponse,
  json: string,
  { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
): void {
  response
    .writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(json),
      ...headers,
    })
    .end(json);
}
