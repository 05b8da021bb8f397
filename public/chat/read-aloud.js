/** After so long a screen reader has taken note of what it is not to read aloud. */
const SILENT_MILLISECONDS = 500;

/**
 * Makes a function that keeps a live region silent for a moment: what is put into it then is not read aloud.
 *
 * @param {HTMLElement} region
 * @returns {() => void}
 */
export function silencer(region) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    region.ariaLive = 'off';
    clearTimeout(timer);
    timer = setTimeout(() => (region.ariaLive = 'polite'), SILENT_MILLISECONDS);
  };
}
