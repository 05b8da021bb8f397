/**
 * The part of the service worker that keeps the page's files, for when its service cannot be reached.
 *
 * A set has the files of one version, and is kept as a whole or not at all: the service lists them with their
 * digests (`shell.json`), and names the version in a header of the page. A page is loaded from one set, or
 * without any, so modules of two versions never meet. As long as the service answers, its version is the one
 * that is loaded.
 */

/** The header of the page that names its version. */
const VERSION_HEADER = 'Tidings-Page';

/** How long to wait for an answer: somebody is looking at a blank page. */
const PATIENCE_MILLISECONDS = 3000;

/** The answers of a proxy that does not reach a service. */
const NO_SERVICE = [502, 503, 504];

/** How many sets to keep: windows may still load files of the set before the newest. */
const MAX_SETS = 2;

/** How many windows to remember, the newest ones: they ask for their files in the first seconds. */
const MAX_WINDOWS = 100;

/** The set that each window loads its files from, by the window's id. @type {Map<string, string>} */
const setOfWindow = new Map();

worker.addEventListener('install', (event) => {
  // In browsers that have this, requests of the page do not wait for this worker to start.
  const { addRoutes } =
    /** @type {{ addRoutes?: (rule: { condition: object, source: string }) => Promise<void> }} */ (
      /** @type {unknown} */ (event)
    );
  const rule = { condition: { requestDestination: '' }, source: 'network' };
  if (addRoutes !== undefined) event.waitUntil(addRoutes.call(event, rule).catch(() => undefined));
});

worker.addEventListener('activate', (event) => event.waitUntil(removeBut(1).catch(() => undefined)));

worker.addEventListener('message', (event) => {
  if (event.data === KEEP_SHELL) event.waitUntil(keepSet());
});

worker.addEventListener('fetch', (event) => {
  const { request, clientId } = event;
  if (request.method !== 'GET') return;
  if (request.mode === 'navigate') {
    if (isPage(request.url)) event.respondWith(answerPage(event));
    return;
  }
  const set = setOfWindow.get(clientId);
  // A request without a destination comes from a script: it is for data.
  if (set !== undefined && request.destination !== '') event.respondWith(answerFile(request, set));
});

/** Returns whether a URL is the page's. @param {string} url */
function isPage(url) {
  const { scope } = worker.registration;
  return [scope, `${scope}index.html`].includes(url.replace(/[?#].*/, ''));
}

/**
 * Answers with the service's page, or with the one that is kept if the service does not answer.
 *
 * @param {FetchEvent} event
 * @returns {Promise<Response>}
 * @throws {TypeError} if there is neither
 */
async function answerPage(event) {
  const asked = fetch(event.request);
  const answer = await inTime(asked);
  if (answer === undefined || NO_SERVICE.includes(answer.status)) {
    const set = await newestSet().catch(() => undefined);
    const kept = set === undefined ? undefined : await fileOf(set, worker.registration.scope);
    if (kept === undefined) return answer ?? asked;
    use(set, event);
    return kept;
  }
  const version = answer.headers.get(VERSION_HEADER);
  // A redirect, an error, or the answer of something on the way.
  if (!answer.ok || version === null) return answer;
  const keeping = keepSet(version);
  event.waitUntil(keeping);
  use(await inTime(keeping), event);
  return answer;
}

/**
 * Makes a window load its files from a set; without one, from the network.
 *
 * @param {string | undefined} set
 * @param {FetchEvent} event
 */
function use(set, { resultingClientId }) {
  if (set === undefined) return;
  setOfWindow.set(resultingClientId, set);
  const [oldest] = setOfWindow.keys();
  if (setOfWindow.size > MAX_WINDOWS && oldest !== undefined) setOfWindow.delete(oldest);
}

/**
 * Answers with a file of a set; from the network if the set does not have it.
 *
 * @param {Request} request
 * @param {string} set
 */
async function answerFile(request, set) {
  return (await fileOf(set, request.url).catch(() => undefined)) ?? fetch(request);
}

/**
 * Keeps the files of the service's version. Does nothing if they are kept already.
 *
 * @param {string} [wanted] the version; defaults to the current one of the service
 * @returns {Promise<string | undefined>} the name of the set; `undefined` if the files cannot be kept: the
 *   browser has no room or forbids it, or the service is just being replaced by another version
 */
async function keepSet(wanted) {
  try {
    let name = wanted === undefined ? undefined : nameOf(wanted);
    if (name === undefined || !(await isWhole(name))) {
      const { version, files } = await listFiles();
      if (wanted !== undefined && version !== wanted) return undefined;
      name = nameOf(version);
      if (!(await isWhole(name))) await fill(name, files);
    }
    await removeBut(MAX_SETS, name);
    return name;
  } catch {
    return undefined;
  }
}

/**
 * Returns the service's list of the page's files.
 *
 * @returns {Promise<{ version: string, files: Record<string, string> }>} digests by path
 */
async function listFiles() {
  const answer = await fetch(urlOf('shell.json'), { cache: 'no-cache', redirect: 'error' });
  /** @type {unknown} */
  const list = await answer.json();
  return /** @type {{ version: string, files: Record<string, string> }} */ (list);
}

/**
 * Fills a set with all files, or with none.
 *
 * @param {string} name
 * @param {Record<string, string>} files
 * @throws {TypeError} if a file is not the one that was listed
 * @throws {DOMException} if there is no room
 */
async function fill(name, files) {
  const requests = Object.entries(files).map(
    ([path, integrity]) => new Request(urlOf(path), { integrity, cache: 'no-cache', redirect: 'error' }),
  );
  try {
    const cache = await caches.open(name);
    await cache.addAll(requests);
  } catch (error) {
    if (!(await isWhole(name))) await caches.delete(name);
    throw error;
  }
}

/** Returns the name of a version's set. The site may have other services. @param {string} version */
function nameOf(version) {
  // A scope has no space in it, so no name begins with the name of another service's set.
  return `tidings:shell:${worker.registration.scope} ${version}`;
}

/** Returns the names of all sets, the newest last. */
async function sets() {
  const names = await caches.keys();
  return names.filter((name) => name.startsWith(nameOf('')));
}

/** @returns {Promise<string | undefined>} */
async function newestSet() {
  const names = await sets();
  for (const name of names.toReversed()) if (await isWhole(name)) return name;
  return undefined;
}

/**
 * Returns whether a set is filled. A set that another event is still filling is empty.
 *
 * @param {string} name
 */
async function isWhole(name) {
  return (await fileOf(name, worker.registration.scope)) !== undefined;
}

/** @param {string} set @param {string} url @returns {Promise<Response | undefined>} */
function fileOf(set, url) {
  // Files vary with the encodings that a browser accepts, and it accepts the same ones offline.
  return caches.match(url, { cacheName: set, ignoreVary: true });
}

/**
 * Removes sets, the oldest first, and sets that are newer than the service: it may have been set back to an
 * earlier version.
 *
 * @param {number} kept how many sets are left at most
 * @param {string} [newest] defaults to the set that was kept last
 */
async function removeBut(kept, newest) {
  const names = await sets();
  const end = newest === undefined ? names.length : names.indexOf(newest) + 1;
  const left = names.slice(0, end).slice(-kept);
  for (const name of names) if (!left.includes(name)) await caches.delete(name);
}

/**
 * Waits for a promise, but not for long.
 *
 * @template Value
 * @param {Promise<Value>} promise
 * @returns {Promise<Value | undefined>} `undefined` if it fails, or takes too long
 */
function inTime(promise) {
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MILLISECONDS));
  return Promise.race([promise, /** @type {Promise<undefined>} */ (late)]).catch(() => undefined);
}
