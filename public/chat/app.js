/** The chat page: finds out who the person is, then shows the chat. */
import { Problem, Unreachable } from '../client.js';
import { pause } from '../client/backoff.js';
import { storage, tabStorage } from '../client/storage.js';
import { addressFault } from './address.js';
import { Api } from './api.js';
import { isRoom } from './chat.js';
import { ChatController } from './chat-controller.js';
import { element } from './dom.js';
import { keepSession, lastSession } from './person.js';
import { tellRenewed } from './renewal.js';
import { removeCopy } from './tab-copy.js';
import { keepShell, onLead } from './worker.js';

/** @import { Session } from './api.js' */

/** How long a person who was here before waits for the service before the page shows what it has. */
const PATIENCE_MILLISECONDS = 2000;

const api = new Api();
/** In open mode the name is stored twice: for this window, and for windows to come. */
const stores = [tabStorage, storage];
/** The key under which the name is stored. */
const NAME = api.keptName('name', stores);
const signInView = element('sign-in', HTMLElement);
const form = element('sign-in-form', HTMLFormElement);
const input = element('sign-in-name', HTMLInputElement);
const answer = element('sign-in-answer', HTMLOutputElement);
const nameOfLink = takeNameOfLink();
/** Whether the service has no key, so that anybody may use any name. */
/** @type {boolean} */
let isOpen = false;

async function begin() {
  const last = lastSession(api);
  const guess = last && nameIn(last);
  for (let wait = 1000; ; wait = Math.min(wait * 2, 30_000)) {
    try {
      if (api.isLeaving) await api.signOut();
      const session = await (guess === undefined ? api.session() : soon(api.session()));
      keepSession(api, session);
      isOpen = session?.sub === null;
      const name = nameIn(session);
      if (name !== undefined) {
        open(name, false);
        return;
      }
      removeCopy(api);
      askWho();
      return;
    } catch (error) {
      if (last !== undefined && guess !== undefined) {
        isOpen = last.sub === null;
        open(guess, true);
        return;
      }
      document.title = 'Waiting · Tidings';
      element('wait', HTMLElement).textContent = `${sentenceOf(error)} This page keeps trying.`;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/** Returns the name of the person in this window. @param {Pick<Session, 'sub'> | undefined} session */
function nameIn(session) {
  return session?.sub === null ? (nameOfLink ?? keptName()) : session?.sub;
}

/**
 * Waits for an answer, but not for long.
 *
 * @template Answer
 * @param {Promise<Answer>} answer
 * @returns {Promise<Answer>}
 * @throws {Unreachable}
 */
async function soon(answer) {
  const late = pause(PATIENCE_MILLISECONDS).then(() => Promise.reject(new Unreachable('no answer')));
  return Promise.race([answer, late]);
}

/** Asks the service whether somebody still has the session of this browser. @param {string} me */
async function isStill(me) {
  const session = await api.session();
  keepSession(api, session);
  return session?.sub === (isOpen ? null : me);
}

function askWho() {
  element('wait', HTMLElement).textContent = '';
  document.title = 'Sign in · Tidings';
  element('sign-in-lead', HTMLElement).textContent = isOpen
    ? 'Chat that stays the same on all your devices. Open this page in a second window to see how.'
    : 'You need a token to sign in. Ask the person who runs this service for one.';
  element('sign-in-label', HTMLElement).textContent = isOpen ? 'Your name' : 'Your token';
  input.placeholder = isOpen ? 'alice' : '';
  input.type = isOpen ? 'text' : 'password';
  input.autocomplete = isOpen ? 'username' : 'off';
  if (!isOpen) input.removeAttribute('maxlength');
  signInView.hidden = false;
  input.focus();
}

/**
 * @param {string} me
 * @param {boolean} isGuess whether the service has not yet said that this is still the person
 */
function open(me, isGuess) {
  const fault = isRoom(me) ? 'A name that begins with “room-” belongs to a room.' : addressFault(me);
  if (fault !== undefined) {
    askWho();
    answer.value = fault;
    return;
  }
  signInView.hidden = true;
  element('wait', HTMLElement).textContent = '';
  if (isOpen) keepName(me);
  const controller = new ChatController(api, me, isOpen, isGuess ? () => isStill(me) : undefined);
  for (const id of ['sign-out', 'renew-sign-out'])
    element(id, HTMLButtonElement).addEventListener('click', () => void signOut(controller));
  keepShell();
}

/** @param {ChatController} controller */
async function signOut(controller) {
  if (!(await controller.signOut.run())) return;
  forgetName();
  history.replaceState(null, '', location.pathname);
  location.reload();
}

/** @param {SubmitEvent} event */
async function signIn(event) {
  event.preventDefault();
  answer.value = '';
  const text = input.value.trim().normalize('NFC');
  try {
    if (isOpen) {
      open(text, false);
    } else {
      const session = await api.signIn(text);
      keepSession(api, session);
      tellRenewed(api);
      // The button may have been pressed twice.
      if (session.sub !== null && !signInView.hidden) open(session.sub, false);
    }
  } catch (error) {
    answer.value = sentenceOf(error);
  }
}

/** @param {unknown} error */
function sentenceOf(error) {
  // People cannot use what a proxy says about a service that it does not reach.
  const isPlain = error instanceof Problem && error.status < 500;
  return isPlain ? error.message : 'The service cannot be reached.';
}

/**
 * Takes the name that a link gives this window, for trying the service alone. Only a service without a key
 * takes it.
 */
function takeNameOfLink() {
  const url = new URL(location.href);
  const name = url.searchParams.get('as');
  if (name === null) return undefined;
  url.searchParams.delete('as');
  history.replaceState(null, '', url);
  return name;
}

function keptName() {
  return stores.map((store) => store.get(NAME)).find((name) => name !== undefined);
}

/** @param {string} name */
function keepName(name) {
  for (const store of stores) store.set(NAME, name);
}

function forgetName() {
  for (const store of stores) store.remove(NAME);
}

form.addEventListener('submit', (event) => void signIn(event));
onLead((peer) => (location.hash = `#${encodeURIComponent(peer)}`));
void begin();
