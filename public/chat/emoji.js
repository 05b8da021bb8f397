/**
 * An emoji as people type it: a flag, a key cap, or a sign with its skin tone, or several of these joined.
 */
const PART = String.raw`(?:(?!\p{Regional_Indicator})\p{Emoji_Presentation}|\p{Extended_Pictographic}(?=\ufe0f|\p{Emoji_Modifier}|\u200d))(?!\ufe0e)\ufe0f?\p{Emoji_Modifier}?`;
const JOINED = String.raw`(?:\u200d\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?)*`;
const EMOJI = String.raw`(?:\p{Regional_Indicator}{2}|[0-9#*]\ufe0f?\u20e3|${PART}[\u{e0020}-\u{e007f}]*${JOINED})`;

const FEW_EMOJI = new RegExp(`^\\s*(?:${EMOJI}\\s*){1,3}$`, 'u');

/** Longer than any three emoji. A longer letter is mostly accents that somebody piled up. */
const MAX_LENGTH = 120;

/** Matches one letter, if the browser cannot find it (Firefox before 125). */
const LETTER = new RegExp(`^(?:${EMOJI}|\\P{M}\\p{M}*)`, 'u');

const segmenter = 'Segmenter' in Intl ? new Intl.Segmenter() : undefined;

/** Returns whether a text is one to three emoji, and nothing else. @param {string} text */
export function isFewEmoji(text) {
  return text.length <= MAX_LENGTH && FEW_EMOJI.test(text);
}

/**
 * Returns the first letter of a text, as people count letters; an empty string if there is none.
 *
 * @param {string} text
 */
export function firstLetter(text) {
  const [first] = segmenter?.segment(text) ?? [];
  return first?.segment ?? LETTER.exec(text)?.[0] ?? '';
}

/**
 * Returns the beginning of a text without cutting a letter in two.
 *
 * @param {string} text
 * @param {number} length the most UTF-16 code units
 */
export function beginningOf(text, length) {
  if (text.length <= length) return text;
  const end = segmenter?.segment(text).containing(length)?.index ?? length;
  return text.slice(0, length - end < MAX_LENGTH ? end : length).toWellFormed();
}
