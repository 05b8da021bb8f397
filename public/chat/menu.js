import { element } from './dom.js';

/**
 * Puts the buttons of the header into a menu if they do not fit: on a small screen, or with large letters.
 */
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
    // The width that everything in the header needed when the buttons were last there.
    if (!isMenu) width = header.scrollWidth;
    if (isMenu === header.clientWidth < width) return;
    header.classList.toggle('narrow', !isMenu);
    show(false);
    fit();
  };
  // In the next frame, because an observer of sizes must not change them.
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
