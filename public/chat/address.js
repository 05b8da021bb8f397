const MAX_CODE_POINTS = 128;

/**
 * Returns why a text is not an address (docs/protocol.md): a wrong one would cost the whole stream.
 *
 * @param {string} text
 * @returns {string | undefined} a sentence for people; `undefined` if the text is an address
 */
export function addressFault(text) {
  if (text === '') return 'A name cannot be empty.';
  if (!text.isWellFormed()) return 'A name cannot contain broken characters (lone surrogates).';
  if (Array.from(text).length > MAX_CODE_POINTS)
    return `A name can have at most ${MAX_CODE_POINTS} characters.`;
  if (text.includes('*')) return 'A name cannot contain “*”.';
  if (text.startsWith('$')) return 'A name cannot begin with “$”: such names are reserved.';
  if (text.trim() !== text) return 'A name cannot begin or end with a space.';
  if (/[\p{Cc}\p{Cf}]/u.test(text)) return 'A name cannot contain invisible characters.';
  if (text.normalize('NFC') !== text) return 'A name must be in the Unicode form NFC.';
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
