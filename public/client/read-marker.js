/** @import { Stored } from './feed.js' */
/** @import { Draft, Outbox } from './outbox.js' */

/**
 * Sends a read marker through the outbox. Of those that wait for a peer, only the newest is sent.
 *
 * @param {Outbox} outbox
 * @param {string} sender
 * @param {string} peer
 * @param {number} messageId
 * @returns {Promise<Stored>} rejects as `add` of the outbox does
 */
export function sendReadMarker(outbox, sender, peer, messageId) {
  /** @param {Draft} entry */
  const isSame = ({ type, recipient }) => type === 'read' && recipient === peer;
  const ids = outbox.entries
    .filter(isSame)
    .map(({ content }) => /** @type {{ messageId: number }} */ (content).messageId);
  return outbox.add(
    { sender, recipient: peer, type: 'read', content: { messageId: Math.max(messageId, ...ids) } },
    isSame,
  );
}
