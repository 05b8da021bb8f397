/**
 * What the server says on a stream, by event name.
 * @typedef {object} Frames
 * @property {Message} message stored or ephemeral: a frame without an event name
 * @property {{ gap: false | string }} ready
 * @property {{ replayed: number }} live
 * @property {{ at: string }} heartbeat
 * @property {{ reason: string }} bye
 */

/**
 * A message; an ephemeral one has no id.
 * @typedef {object} Message
 * @property {number} [id]
 * @property {string} sender
 * @property {string} recipient
 * @property {string} type
 * @property {unknown} content
 * @property {string} createdAt
 */

/**
 * A row of the log.
 * @typedef {object} Row
 * @property {string} event
 * @property {string} id
 * @property {string} text shown as it is, never as HTML
 * @property {string} [time] when it was sent; now where it is left out
 * @property {Message} [message]
 * @property {boolean} [warns]
 * @property {boolean} [mine]
 */

/** More rows than these are not kept in the page. */
const MOST_ROWS = 1000;

/** How close to its end, in pixels, the log has to be to follow what comes. */
const NEAR_END = 40;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** The events of a stream, a row each, in the order in which they came. */
export class EventLog {
  #box;
  #list;

  /**
   * @param {HTMLElement} box what scrolls
   * @param {HTMLOListElement} list what the rows are added to
   */
  constructor(box, list) {
    this.#box = box;
    this.#list = list;
  }

  clear() {
    this.#list.replaceChildren();
  }

  /** @param {boolean} shown whether there are rows for what is not a message; a warning is always there */
  showServerEvents(shown) {
    this.#list.classList.toggle('messages-only', !shown);
  }

  /**
   * @param {Message} message
   * @param {string} me whose stream it is
   */
  addMessage(message, me) {
    const { id, content, createdAt, sender } = message;
    this.add({
      event: 'message',
      id: String(id ?? '–'),
      text: typeof content === 'string' ? content : JSON.stringify(content),
      time: createdAt,
      message,
      mine: sender === me,
    });
  }

  /** @param {Row} row */
  add({ event, id, text, time, message, warns = false, mine = false }) {
    const box = this.#box;
    const follows = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
    const row = part('li', event);
    row.classList.toggle('warning', warns);
    row.classList.toggle('mine', mine);
    const at = time === undefined ? new Date() : new Date(time);
    const when = part('time', 'at', clock.format(at));
    when.dateTime = at.toISOString();
    when.title = at.toLocaleString();
    row.append(part('span', 'event', event), part('span', 'id', id), when);
    if (message !== undefined) {
      const route = part('span', 'route');
      route.append(part('bdi', 'sender', message.sender), ' → ', part('bdi', 'recipient', message.recipient));
      row.append(route, part('span', 'type', message.type));
    }
    const body = part('span', 'content', text);
    body.dir = 'auto';
    row.append(body);
    this.#list.append(row);
    while (this.#list.childElementCount > MOST_ROWS) this.#list.firstElementChild?.remove();
    if (follows) box.scrollTop = box.scrollHeight;
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {string} [text]
 */
function part(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
