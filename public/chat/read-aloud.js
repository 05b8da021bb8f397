/** How long it takes a screen reader to notice that a region has become silent. */
const SILENT_MILLISECONDS = 500;

/**
 * Makes a function that silences a live region for a moment: changes at that time are not read aloud.
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
