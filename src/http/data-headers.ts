/** The headers of data, so that it is not kept by caches, run as a script, or embedded by pages of other sites. */
export const DATA_HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  Vary: 'Origin',
} as const;
