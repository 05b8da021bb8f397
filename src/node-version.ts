/** The oldest version of Node that works, as in `engines` of package.json. */
const [MAJOR, MINOR] = [20, 19];

/**
 * Says why a version of Node is too old.
 *
 * @param version as in `process.versions.node`
 * @returns a sentence; `undefined` if the version is new enough
 */
export function nodeFault(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > MAJOR || (major === MAJOR && minor >= MINOR)) return undefined;
  return `Node ${version} is too old: Tidings needs ${MAJOR}.${MINOR} or newer. Install one from nodejs.org.`;
}
