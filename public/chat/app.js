/** The chat page: who one is, then what one sees. */
import { Problem } from '../client.js';
import { pause } from '../client/backoff.js';
import { addressFault } from './address.js';
import { Api } from './api.js';
import { Desk } from './desk.js';
import { element } from './dom.js';
import { tellRenewed } from './renewal.js';
import { onLead } from './worker.js';

/** Where the browser keeps the name of open mode: a window its own, and the last one for windows to come. */
const NAME = 'tidings:chat:name';

/** Who signs out waits at most so long for the end of what is still going on, such as notifications being turned on. */
const CLOSE_MILLISECONDS = 5000;

const api = new Api();
const signInView = element('sign-in', HTMLElement);
const form = element('sign-in-form', HTMLFormElement);
const input = element('sign-in-name', HTMLInputElement);
const answer = element('sign-in-answer', HTMLOutputElement);
/** Whether the service takes names, having no key. */
/** @type {boolean} */
let isOpen = false;

async function begin() {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 30_000)) {
    try {
      if (api.isLeaving) await api.signOut();
      const session = await api.session();
      isOpen = session?.sub === null;
      const name = isOpen ? keptName() : session?.sub;
      if (typeof name === 'string') open(name);
      else askWho();
      return;
    } catch (error) {
      document.title = 'Waiting · Tidings';
      element('wait', HTMLElement).textContent = `${sentenceOf(error)} It tries again by itself.`;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

function askWho() {
  element('wait', HTMLElement).textContent = '';
  document.title = 'Sign in · Tidings';
  element('sign-in-lead', HTMLElement).textContent = isOpen
    ? 'Chat that stays the same on all your devices. Open this page in a second window, and see.'
    : 'This service wants a token. Whoever runs it gives you one.';
  element('sign-in-label', HTMLElement).textContent = isOpen ? 'Your name' : 'Your token';
  input.placeholder = isOpen ? 'alice' : '';
  input.type = isOpen ? 'text' : 'password';
  input.autocomplete = isOpen ? 'username' : 'off';
  if (!isOpen) input.removeAttribute('maxlength');
  signInView.hidden = false;
  input.focus();
}

/** @param {string} me */
function open(me) {
  signInView.hidden = true;
  element('wait', HTMLElement).textContent = '';
  if (isOpen) keepName(me);
  const desk = new Desk(api, me, isOpen);
  for (const id of ['sign-out', 'renew-sign-out'])
    element(id, HTMLButtonElement).addEventListener('click', () => void signOut(desk));
}

/** @param {Desk} desk */
async function signOut(desk) {
  // The window may be closed before the end of this.
  if (!isOpen) api.leave();
  await Promise.race([desk.close().catch(() => undefined), pause(CLOSE_MILLISECONDS)]);
  forgetName();
  if (!isOpen) await api.signOut().catch(() => undefined);
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
      const fault = addressFault(text);
      if (fault === undefined) open(text);
      else answer.value = fault;
    } else {
      const { sub } = await api.signIn(text);
      tellRenewed();
      // It may have been pressed twice.
      if (sub !== null && !signInView.hidden) open(sub);
    }
  } catch (error) {
    answer.value = sentenceOf(error);
  }
}

/** @param {unknown} error */
function sentenceOf(error) {
  return error instanceof Problem ? error.message : 'The service cannot be reached.';
}

function keptName() {
  return stores()
    .map((store) => store.getItem(NAME))
    .find((name) => name !== null);
}

/** @param {string} name */
function keepName(name) {
  for (const store of stores()) store.setItem(NAME, name);
}

function forgetName() {
  for (const store of stores()) store.removeItem(NAME);
}

/** None where the browser keeps nothing for this site. @returns {Storage[]} */
function stores() {
  try {
    return [sessionStorage, localStorage];
  } catch {
    return [];
  }
}

form.addEventListener('submit', (event) => void signIn(event));
onLead((peer) => (location.hash = `#${encodeURIComponent(peer)}`));
void begin();
