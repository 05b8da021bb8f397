/** A run that took so much of the time it should take is as good. */
const ENOUGH = 0.7;

/** By then code that is compiled as it runs has been. */
const WARM_SECONDS = 1;

/** No run takes so many times longer than it should. */
const LONGEST = 2;

/**
 * Finds how many requests make a run as long as it should be: warms up with runs that grow, and measures the first that
 * is long enough.
 *
 * @template {{ seconds: number }} Run
 * @param {number} seconds that a run should take
 * @param {{ first?: number, least?: number, step?: number }} requests `first`: of the first run; `least`: of all others,
 *   unless that takes far longer; `step`: what their number is a multiple of
 * @param {(requests: number) => Promise<Run>} run
 * @returns {Promise<Run>} the measured one
 */
export async function calibrated(seconds, { first = 32, least = 1, step = 1 }, run) {
  let requests = Math.ceil(first / step) * step;
  let { seconds: took } = await run(requests);
  let warm = 0;
  for (;;) {
    warm += took;
    const wanted = (requests * seconds) / took;
    const bounded = Math.max(Math.min(wanted, requests * 10), Math.min(wanted * LONGEST, least));
    requests = Math.ceil(bounded / step) * step;
    const measured = await run(requests);
    took = measured.seconds;
    if (took >= seconds * ENOUGH && warm >= Math.min(seconds, WARM_SECONDS)) return measured;
  }
}
