import { element } from './dom.js';

/** @import { Notifications, State } from './notifications.js' */

/** @type {Record<State, string>} */
const TITLES = {
  none: '',
  blocked: 'Notifications on this device: blocked by your browser',
  off: 'Notifications on this device: off',
  on: 'Notifications on this device: on',
};

/** Has a button turn notifications on and off. Where there can be none it is not there. @param {Notifications} notifications */
export function showBell(notifications) {
  const bell = element('bell', HTMLButtonElement);
  const notice = element('notice', HTMLElement);
  /** @param {string} sentence */
  const say = (sentence) => {
    const [text] = notice.getElementsByTagName('p');
    if (text !== undefined) text.textContent = sentence;
    notice.hidden = sentence === '';
  };
  const draw = () => {
    const { state } = notifications;
    bell.hidden = state === 'none';
    bell.title = TITLES[state];
    bell.ariaPressed = String(state === 'on');
  };
  const press = async () => {
    // What is under way has been asked for already.
    if (bell.ariaBusy === 'true') return;
    bell.ariaBusy = 'true';
    say('');
    try {
      await (notifications.state === 'on' ? notifications.turnOff() : notifications.turnOn());
    } catch (error) {
      say(/** @type {Error} */ (error).message);
    } finally {
      bell.ariaBusy = 'false';
    }
  };
  bell.addEventListener('click', () => void press());
  element('notice-dismiss', HTMLButtonElement).addEventListener('click', () => say(''));
  notifications.watch(draw);
  draw();
}
