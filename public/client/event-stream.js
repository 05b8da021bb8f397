/** A longer line cannot come from the service, whose blocks have less than 64 KiB. */
const MAX_LINE = 1024 * 1024;

/**
 * Returns a parser of `text/event-stream`: a function that takes the decoded text, without a byte order mark,
 * in pieces of any size. It throws if a line is too long.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 * @param {(event: string, id: string, data: string) => void} onEvent `id` is the last one, as with
 *   EventSource
 * @returns {(piece: string) => void}
 */
export function createEventParser(onEvent) {
  let rest = '';
  let event = '';
  let id = '';
  let data = '';

  return (piece) => {
    // Keep a CR at the end of a piece: an LF at the beginning of the next one belongs to it.
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) throw new Error('a line of the stream is too long');
    for (const line of lines) {
      const [name = ''] = line.split(':', 1);
      const value = line.slice(name.length + 1).replace(/^ /, '');
      if (name === 'data') data += `${value}\n`;
      else if (name === 'event') event = value;
      else if (name === 'id' && !value.includes('\0')) id = value;
      else if (line === '') {
        if (data !== '') onEvent(event || 'message', id, data.slice(0, -1));
        event = '';
        data = '';
      }
    }
  };
}
