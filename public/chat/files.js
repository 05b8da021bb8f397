import { say } from './notice.js';

const SENTENCE =
  'You cannot send files or pictures, only text. Put the file where others can open it, and send a link to it.';

/**
 * Refuses files that are dropped or pasted, and says so. A browser would leave the page for a file that is
 * dropped on it.
 */
export function refuseFiles() {
  addEventListener('dragover', (event) => {
    if (hasFiles(event.dataTransfer)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (hasFiles(event.dataTransfer)) refuse(event);
  });
  addEventListener('paste', (event) => {
    // A copied part of a page or a table has its text, too.
    const { clipboardData } = event;
    if (hasFiles(clipboardData) && !clipboardData?.types.includes('text/plain')) refuse(event);
  });
}

/** @param {Event} event */
function refuse(event) {
  event.preventDefault();
  say(SENTENCE);
}

/** @param {DataTransfer | null} data */
function hasFiles(data) {
  return data?.types.includes('Files') === true;
}
