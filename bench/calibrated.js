/** A run that takes at least this part of the intended time is long enough. */
const ENOUGH = 0.7;

/** By then the code that V8 compiles while it runs has been compiled. */
const WARM_SECONDS = 1;

/** No run may take longer than this many times the intended time. */
const LONGEST = 2;

/**
 * Finds how many requests make a run of the intended length. It warms up with growing runs, and measures the first that
 * is long enough.
 *
 * @template {{ seconds: number }} Run
 * @param {number} seconds the intended length of a run
 * @param {{ first?: number, least?: number, step?: number }} requests `first`: in the first run; `least`: in all
 *   others, unless that takes far longer; `step`: their number is a multiple of this
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
