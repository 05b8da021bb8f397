/** The headers of data. Caches do not keep it, browsers do not run it as a script, and other sites cannot embed it. */
export const DATA_HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  Vary: 'Origin',
} as const;
