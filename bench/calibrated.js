/** A run that took so much of the time it should take is as good. */
const ENOUGH = 0.7;

/**
 * Finds how many requests make a run as long as it should be: warms up with runs that grow, and measures the first that
 * is long enough. The very first is never measured.
 *
 * @template {{ seconds: number }} Run
 * @param {number} seconds that a run should take
 * @param {{ first?: number, least?: number, step?: number }} requests `first`: of the first run; `least`: of all others;
 *   `step`: what their number is a multiple of
 * @param {(requests: number) => Promise<Run>} run
 * @returns {Promise<Run>} the measured one
 */
export async function calibrated(seconds, { first = 32, least = 1, step = 1 }, run) {
  let requests = Math.ceil(first / step) * step;
  let { seconds: took } = await run(requests);
  for (;;) {
    const wanted = Math.max(least, Math.min((requests * seconds) / took, requests * 10));
    requests = Math.ceil(wanted / step) * step;
    const measured = await run(requests);
    took = measured.seconds;
    if (took >= seconds * ENOUGH) return measured;
  }
}
