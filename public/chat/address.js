const MAX_CODE_POINTS = 128;

/**
 * Returns why a text is not an address (docs/protocol.md): the service would refuse a whole stream for a
 * wrong one.
 *
 * @param {string} text
 * @returns {string | undefined} a sentence for people; `undefined` if the text is an address
 */
export function addressFault(text) {
  if (text === '') return 'A name has a letter at least.';
  if (!text.isWellFormed()) return 'A name is well-formed Unicode.';
  if (Array.from(text).length > MAX_CODE_POINTS) return `A name has ${MAX_CODE_POINTS} letters at most.`;
  if (text.includes('*')) return 'A name has no “*” in it.';
  if (text.startsWith('$')) return 'A name does not begin with “$”: those are the system’s.';
  if (text.trim() !== text) return 'A name does not begin or end with a space.';
  if (/[\p{Cc}\p{Cf}]/u.test(text)) return 'A name has no invisible characters in it.';
  if (text.normalize('NFC') !== text) return 'A name is in Unicode’s form NFC.';
  return undefined;
}

/**
 * Returns the address that the URL of the page names.
 *
 * @param {string} hash
 * @returns {string | undefined} `undefined` if it names none
 */
export function addressIn(hash) {
  try {
    const text = decodeURIComponent(hash.slice(1)).normalize('NFC');
    return addressFault(text) === undefined ? text : undefined;
  } catch {
    return undefined;
  }
}
