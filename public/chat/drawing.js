/** How long a drawing waits for a frame: a hidden window has none, but its title has the unread count. */
const MAX_WAIT_MILLISECONDS = 100;

/**
 * Makes a function that draws with the next frame: once, for any number of calls until then.
 *
 * @param {() => void} draw
 * @returns {() => void}
 */
export function onceAFrame(draw) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    const drawNow = () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      isDue = false;
      draw();
    };
    const frame = requestAnimationFrame(drawNow);
    const timer = setTimeout(drawNow, MAX_WAIT_MILLISECONDS);
  };
}
