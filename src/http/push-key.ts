import type { Handler } from './handler.ts';
import { Query } from './query.ts';
import { sendJson } from './send-json.ts';

/**
 * `GET /push-key`: what a browser subscribes to notifications with (`applicationServerKey`). Answers `{"publicKey"}`,
 * base64url.
 */
export function pushKey(publicKey: string): Handler {
  return (request, response) => {
    new Query(request.url, []).check();
    sendJson(response, JSON.stringify({ publicKey }));
  };
}
