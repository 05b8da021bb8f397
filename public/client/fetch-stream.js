import { createEventParser } from './event-stream.js';
import { asFault, Problem } from './errors.js';

/** @import { OpenSource } from './stream.js' */

/**
 * Opens a stream with fetch: for a token, which EventSource cannot send, or if there is no EventSource.
 *
 * @type {OpenSource}
 */
export function openFetchStream(url, onEvent, onEnd, service) {
  const closed = new AbortController();
  const read = async () => {
    const body = await service.openStream(url, closed.signal);
    const parser = new WritableStream({ write: createEventParser(onEvent) });
    await body.pipeThrough(new TextDecoderStream()).pipeTo(parser);
  };
  read().then(
    () => onEnd('broken'),
    (/** @type {unknown} */ error) => onEnd(error instanceof Problem ? 'refused' : 'broken', asFault(error)),
  );
  return () => closed.abort();
}
