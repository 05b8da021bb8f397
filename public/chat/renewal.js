import { Problem } from '../client.js';
import { element } from './dom.js';
import { untilAnswered } from './until-answered.js';

/** @import { Api } from './api.js' */

/** Windows tell each other here that there is a new session. */
const channel = new BroadcastChannel('tidings:chat:session');

/** Tells the other windows that there is a new session: one of them may be asking for it. */
export function tellRenewed() {
  channel.postMessage('renewed');
}

/** @type {Promise<void> | undefined} */
let renewal;

/**
 * Asks for a new token, for as long as it takes. Asks once, however many want one.
 *
 * @param {Api} api
 * @param {string} me whose session it was; another person begins anew
 * @returns {Promise<void>} resolves when there is a new session
 */
export function renewSession(api, me) {
  renewal ??= ask(api, me).finally(() => (renewal = undefined));
  return renewal;
}

/**
 * @param {Api} api
 * @param {string} me
 * @returns {Promise<void>}
 */
function ask(api, me) {
  const dialog = element('renew', HTMLDialogElement);
  const form = element('renew-form', HTMLFormElement);
  const token = element('renew-token', HTMLInputElement);
  const answer = element('renew-answer', HTMLOutputElement);
  return new Promise((resolve) => {
    /** @param {string | null | undefined} sub */
    const goOn = (sub) => {
      if (sub !== me) {
        location.reload();
        return;
      }
      token.value = '';
      answer.value = '';
      form.onsubmit = dialog.onclose = channel.onmessage = null;
      dialog.close();
      resolve();
    };
    const renew = async () => {
      try {
        const { sub } = await api.signIn(token.value.trim());
        tellRenewed();
        goOn(sub);
      } catch (error) {
        answer.value = error instanceof Problem ? error.message : 'The service cannot be reached.';
      }
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      void renew();
    };
    // Escape closes a dialog, and without a session there is nothing behind it.
    dialog.onclose = () => dialog.showModal();
    channel.onmessage = () => {
      untilAnswered(async () => {
        const session = await api.session();
        if (session !== undefined) goOn(session.sub);
      }).catch(() => undefined);
    };
    dialog.showModal();
  });
}
