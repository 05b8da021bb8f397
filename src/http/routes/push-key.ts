import type { Handler } from '../handler.ts';
import { NO_PARAMETERS } from '../parameters.ts';
import { Query } from '../query.ts';
import { sendJson } from '../send-json.ts';

/**
 * Serves `GET /push-key`: the key with which a browser subscribes to notifications (`applicationServerKey`). Answers
 * `{"publicKey"}`, base64url.
 */
export function pushKey(publicKey: string): Handler {
  return (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    sendJson(response, JSON.stringify({ publicKey }));
  };
}
