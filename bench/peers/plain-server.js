// A push service as one would write it by hand: `node plain-server.js PORT DATABASE`.
import Sqlite from 'better-sqlite3';
import express from 'express';

/** @typedef {{ id: number | bigint, sender: string, recipient: string, content: string, createdAt: number }} Message */

const [port, file] = process.argv.slice(2);

const database = new Sqlite(file);
database.pragma('journal_mode = WAL');
// An acknowledged message must survive a power cut.
database.pragma('synchronous = FULL');
database.exec(`
  CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    content TEXT NOT NULL,
    createdAt INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS messagesByRecipient ON messages (recipient);
`);
const insert = database.prepare(
  'INSERT INTO messages (sender, recipient, content, createdAt) VALUES (?, ?, ?, ?)',
);

/** @type {import('better-sqlite3').Statement<[string, number], Message>} */
const missed = database.prepare('SELECT * FROM messages WHERE recipient = ? AND id > ? ORDER BY id');

/** The streams that listen to each recipient. @type {Map<string, Set<express.Response>>} */
const streams = new Map();

const app = express();

/**
 * @param {express.Request<object, unknown, Message>} request
 * @param {express.Response} response
 */
function publish(request, response) {
  const { sender, recipient, content } = request.body;
  const createdAt = Date.now();
  const id = Number(insert.run(sender, recipient, content, createdAt).lastInsertRowid);
  const message = { id, sender, recipient, content, createdAt };
  for (const stream of streams.get(recipient) ?? []) stream.write(frame(message));
  response.status(201).json(message);
}
app.post('/messages', express.json(), publish);

app.get('/stream', (request, response) => {
  const recipient = /** @type {string} */ (request.query['recipient']);
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  response.flushHeaders();
  const lastEventId = request.get('Last-Event-ID');
  if (lastEventId !== undefined) {
    for (const message of missed.iterate(recipient, Number(lastEventId))) {
      response.write(frame(message));
    }
  }
  const listeners = streams.get(recipient) ?? new Set();
  streams.set(recipient, listeners.add(response));
  request.on('close', () => {
    listeners.delete(response);
    if (listeners.size === 0) streams.delete(recipient);
  });
});

app.listen(Number(port), '127.0.0.1', 4096);

/** @param {Message} message */
function frame(message) {
  return `data: ${JSON.stringify(message)}\nid: ${message.id}\n\n`;
}
