import type { ServerResponse } from 'node:http';

/** For answers that are data: not to be kept by caches, taken for a script, or embedded by pages of other sites. */
export function setDataHeaders(response: ServerResponse): void {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
  response.setHeader('Vary', 'Origin');
}
