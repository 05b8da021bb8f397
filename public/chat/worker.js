/**
 * @typedef {{ createPolicy: (name: string, rules: object) => { createScriptURL: (text: string) => string } }} Policies
 */

/** The file of the service worker, in the folder of the page. */
const FILE = 'sw.js';

/**
 * The policy for the worker's address. A browser with trusted types takes a script's address only from a
 * policy, and the page's header allows this one. It is made when the page loads, and a name is given once:
 * nobody can make another one.
 */
const policy = /** @type {{ trustedTypes?: Policies }} */ (globalThis).trustedTypes?.createPolicy(
  'tidings-worker',
  {
    /** @param {string} text */
    createScriptURL: (text) => {
      if (text !== FILE) throw new TypeError(`"${text}" is not the service worker: "${FILE}" is`);
      return text;
    },
  },
);

/** Whether there can be a worker: not on a page that is not served securely, nor in every private window. */
export const canHaveWorker = 'serviceWorker' in navigator;

/**
 * Starts the service worker, or looks for a newer one.
 *
 * @returns {Promise<ServiceWorkerRegistration>} resolves when it is active
 */
export async function startWorker() {
  await navigator.serviceWorker.register(policy?.createScriptURL(FILE) ?? FILE);
  return navigator.serviceWorker.ready;
}

/** Returns the service worker; `undefined` if it was never started, or the browser stores nothing here. */
export async function findWorker() {
  const found = await navigator.serviceWorker.getRegistration().catch(() => undefined);
  // Another service, above this one on the same site, has a worker of its own.
  return found?.scope === new URL('.', document.baseURI).href ? found : undefined;
}

/**
 * Calls back with the conversation of a notification that was clicked.
 *
 * @param {(peer: string) => void} onLead
 */
export function onLead(onLead) {
  if (!canHaveWorker) return;
  navigator.serviceWorker.addEventListener(
    'message',
    (/** @type {MessageEvent<{ peer: string }>} */ { data }) => onLead(data.peer),
  );
}

/**
 * Makes the worker keep the files of the page, so that it opens when the service cannot be reached. Waits
 * until the page is loaded and has nothing to do. Does nothing if the browser cannot have a worker here.
 */
export function keepShell() {
  if (!canHaveWorker) return;
  const start = () => whenIdle(() => void askToKeep().catch(() => undefined));
  if (document.readyState === 'complete') start();
  else addEventListener('load', start);
}

async function askToKeep() {
  const { active } = await startWorker();
  // A worker that has loaded the page has kept them, if it could.
  if (navigator.serviceWorker.controller?.scriptURL !== active?.scriptURL) active?.postMessage('keep-shell');
}

/** @param {() => void} work */
function whenIdle(work) {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work);
  else setTimeout(work, 1000);
}
