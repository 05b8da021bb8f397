import { Problem } from '../client.js';
import { openChannel } from '../client/environment.js';
import { element } from './dom.js';
import { untilAnswered } from './until-answered.js';

/** @import { Api } from './api.js' */

/** The channel on which windows tell each other about a new session. @type {BroadcastChannel | undefined} */
let shared;

/**
 * @param {Api} api
 * @returns {BroadcastChannel | undefined} `undefined` if the browser has none, or forbids it
 */
function channelOf(api) {
  shared ??= openChannel(api.keptName('session'));
  return shared;
}

/**
 * Tells the other windows that there is a new session, because one of them may be asking for it.
 *
 * @param {Api} api
 */
export function tellRenewed(api) {
  channelOf(api)?.postMessage('renewed');
}

/** @type {Promise<void> | undefined} */
let renewal;

/**
 * Asks for a new token, for as long as it takes. Asks once, however many callers need one.
 *
 * @param {Api} api
 * @param {string} me the person whose session it was; for anybody else the page is loaded again
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
  const app = element('app', HTMLElement);
  const dialog = element('renew', HTMLDialogElement);
  const form = element('renew-form', HTMLFormElement);
  const token = element('renew-token', HTMLInputElement);
  const answer = element('renew-answer', HTMLOutputElement);
  const channel = channelOf(api);
  return new Promise((resolve) => {
    /** @param {string | null | undefined} sub */
    const goOn = (sub) => {
      if (sub !== me) {
        location.reload();
        return;
      }
      token.value = '';
      answer.value = '';
      form.onsubmit = dialog.onclose = null;
      if (channel !== undefined) channel.onmessage = null;
      app.inert = false;
      dialog.close();
      resolve();
    };
    const renew = async () => {
      try {
        const { sub } = await api.signIn(token.value.trim());
        tellRenewed(api);
        goOn(sub);
      } catch (error) {
        answer.value = error instanceof Problem ? error.message : 'The service cannot be reached.';
      }
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      void renew();
    };
    // Escape closes a dialog. Without a session there is nothing behind this one, so it opens again each time.
    dialog.onclose = () => dialog.showModal();
    app.inert = true;
    const onRenewed = () => {
      untilAnswered(async () => {
        const session = await api.session();
        if (session !== undefined) goOn(session.sub);
      }).catch(() => undefined);
    };
    if (channel !== undefined) channel.onmessage = onRenewed;
    dialog.showModal();
  });
}
