const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const day = new Intl.DateTimeFormat(undefined, {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
});
const shortDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

const DAY_MILLISECONDS = 86_400_000;

/**
 * Returns the time of day.
 *
 * @param {string} at ISO 8601
 */
export function timeOf(at) {
  return time.format(new Date(at));
}

/**
 * Returns the whole moment, for those who ask.
 *
 * @param {string} at ISO 8601
 */
export function momentOf(at) {
  return whole.format(new Date(at));
}

/**
 * Returns a text that tells days apart, in the reader's time zone.
 *
 * @param {string} at ISO 8601
 */
export function dayKey(at) {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/**
 * Returns a day as a heading: today, yesterday, or its date.
 *
 * @param {string} at ISO 8601
 */
export function dayOf(at) {
  const days = daysAgo(at);
  return days < 2 ? relative.format(-days, 'day') : day.format(new Date(at));
}

/**
 * Returns a moment in few letters: the time if it is today, else the day.
 *
 * @param {string} at ISO 8601
 */
export function shortly(at) {
  return daysAgo(at) === 0 ? timeOf(at) : shortDay.format(new Date(at));
}

/**
 * Returns how many calendar days ago it was. A day on which the clocks change has 23 or 25 hours.
 *
 * @param {string} at
 */
function daysAgo(at) {
  const days = (/** @type {Date} */ date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.max(0, (days(new Date()) - days(new Date(at))) / DAY_MILLISECONDS);
}
