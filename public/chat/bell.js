import { element } from './dom.js';
import { say } from './notice.js';

/** @import { Notifications, State } from './notifications.js' */

/** @type {Record<State, string>} */
const TITLES = {
  none: '',
  blocked: 'Notifications on this device: blocked by your browser',
  off: 'Notifications on this device: off',
  on: 'Notifications on this device: on',
};

/**
 * Makes the bell turn notifications on and off. Hides it if there can be none.
 *
 * @param {Notifications} notifications
 */
export function showBell(notifications) {
  const bell = element('bell', HTMLButtonElement);
  const draw = () => {
    const { state } = notifications;
    bell.hidden = state === 'none';
    bell.title = TITLES[state];
    bell.ariaPressed = String(state === 'on');
  };
  const press = async () => {
    // A change that is under way was asked for already.
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
  notifications.watch(draw);
  draw();
}
