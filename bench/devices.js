// A process that holds streams open: `node bench/devices.js PORT COUNT RECIPIENT`. It says `open` when all are live,
// and, asked for an id, `through` when every one of them has had all up to it.
import { connect } from 'node:net';

const [port = 0, count = 0] = process.argv.slice(2, 4).map(Number);
const recipient = process.argv[4] ?? '';
const LIVE = 'event: live';

/** Bytes of each stream after its `live` frame: the same for all, as all get the same frames. */
const received = new Float64Array(count);
let open = 0;
/** The first stream is read in full, and says how many bytes the others must have. */
let lastId = 0;
let tail = '';
let awaited = Infinity;

/** @param {number} index */
function openStream(index) {
  const socket = connect({ port, host: '127.0.0.1' });
  let head = '';
  let live = false;
  socket.write(`GET /stream?recipient=${recipient} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  socket.on('data', (bytes) => {
    if (live) {
      received[index] = (received[index] ?? 0) + bytes.length;
      if (index === 0) readIds(bytes.toString('latin1'));
      return;
    }
    head += bytes.toString('latin1');
    const end = head.indexOf('\n\n', head.indexOf(LIVE));
    if (!head.includes(LIVE) || end === -1) return;
    live = true;
    received[index] = head.length - end - 2;
    if (index === 0) readIds(head.slice(end + 2));
    head = '';
    if (++open === count) process.send?.('open');
  });
  socket.on('close', () => {
    throw new Error(`stream ${index} was closed`);
  });
}

/** @param {string} text */
function readIds(text) {
  tail += text;
  const end = tail.lastIndexOf('\n\n');
  if (end === -1) return;
  const last = tail.lastIndexOf('id: ', end);
  lastId = Number(/^id: (\d+)/.exec(tail.slice(last, last + 30))?.[1] ?? lastId);
  tail = tail.slice(end + 2);
}

setInterval(() => {
  if (lastId < awaited) return;
  const bytes = received[0];
  if (received.every((one) => one === bytes)) {
    awaited = Infinity;
    process.send?.('through');
  }
}, 5);

process.on('message', (id) => (awaited = Number(id)));
process.on('disconnect', () => process.exit());
for (let index = 0; index < count; index++) openStream(index);
