import { element } from './dom.js';

/** Puts the buttons of the header into a menu if the header has no room for them: on a small screen, or with large letters. */
export function useMenu() {
  const header = element('top', HTMLElement);
  const toggle = element('menu-toggle', HTMLButtonElement);
  const menu = element('menu', HTMLElement);
  /** @param {boolean} isOpen */
  const show = (isOpen) => {
    menu.classList.toggle('open', isOpen);
    toggle.setAttribute('aria-expanded', String(isOpen));
  };
  let width = 0;
  const fit = () => {
    const isMenu = header.classList.contains('narrow');
    // So wide they were when they stood in the header last, with all that stands there.
    if (!isMenu) width = header.scrollWidth;
    if (isMenu === header.clientWidth < width) return;
    header.classList.toggle('narrow', !isMenu);
    show(false);
    fit();
  };
  // In the next frame: what changes sizes is not to be called by their observer.
  const observer = new ResizeObserver(() => requestAnimationFrame(fit));
  for (const part of [header, ...menu.children]) observer.observe(part);
  toggle.addEventListener('click', () => show(!menu.classList.contains('open')));
  menu.addEventListener('click', () => show(false));
  addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape' || !menu.classList.contains('open')) return;
    show(false);
    toggle.focus();
  });
  addEventListener('focusin', ({ target }) => {
    if (target instanceof Node && target !== toggle && !menu.contains(target)) show(false);
  });
}
