/** @typedef {{ createPolicy: (name: string, rules: object) => { createScriptURL: (text: string) => string } }} Policies */

/** The service worker of the page, beside it. */
const FILE = 'sw.js';

/**
 * A browser with trusted types takes a script's address from a policy alone, and the page's header allows this one. It
 * is made when the page loads, and a name is given once: nobody else gets to make another of it.
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

/** Whether there can be one: not on a page that is not served securely, nor in every private window. */
export const canHaveWorker = 'serviceWorker' in navigator;

/**
 * Starts the service worker, or looks for a newer one.
 *
 * @returns {Promise<ServiceWorkerRegistration>} when it is at work
 */
export async function startWorker() {
  await navigator.serviceWorker.register(policy?.createScriptURL(FILE) ?? FILE);
  return navigator.serviceWorker.ready;
}

/** Returns the service worker; `undefined` if it was never started, or if the browser keeps nothing for this site. */
export async function findWorker() {
  const found = await navigator.serviceWorker.getRegistration().catch(() => undefined);
  // That of another service, above this one on the same site, is not this one's.
  return found?.scope === new URL('.', document.baseURI).href ? found : undefined;
}

/** Tells which conversation a notification leads to, when one was clicked. @param {(peer: string) => void} onLead */
export function onLead(onLead) {
  if (!canHaveWorker) return;
  navigator.serviceWorker.addEventListener(
    'message',
    (/** @type {MessageEvent<{ peer: string }>} */ { data }) => onLead(data.peer),
  );
}

/**
 * Has the worker keep the files of the page, so that it opens when the service cannot be reached. Waits until the page is
 * loaded and has nothing to do. Does nothing if the browser has no worker for it.
 */
export function keepShell() {
  if (!canHaveWorker) return;
  const start = () => whenIdle(() => void askToKeep().catch(() => undefined));
  if (document.readyState === 'complete') start();
  else addEventListener('load', start);
}

async function askToKeep() {
  const { active } = await startWorker();
  // One that the page was loaded by has kept them, if it could.
  if (navigator.serviceWorker.controller?.scriptURL !== active?.scriptURL) active?.postMessage('keep-shell');
}

/** @param {() => void} work */
function whenIdle(work) {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work);
  else setTimeout(work, 1000);
}
