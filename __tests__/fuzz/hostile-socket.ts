/** The messages of a hostile client on a WebSocket: publishes of every kind, mostly in well-formed frames. */
import { hostileJsonText } from './hostile-body.ts';
import { hostileJson, mutateBytes, writeJson } from './hostile-json.ts';
import { hostileText } from '../support/hostile-text.ts';
import type { Person } from '../support/persons.ts';
import type { Random } from '../support/random.ts';
import { BINARY, CLOSE, clientFrame, PING, PONG, TEXT } from '../support/raw-socket.ts';

const FIN = 0x80;
const HANDSHAKE = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
] as const;

type Header = readonly [name: string, value: string];

/** A handshake, nearly always a good one, and what comes behind it. */
export function hostileSocket(
  random: Random,
  person: Person,
): { headers: readonly Header[]; body: Buffer; publishes: number } {
  const headers = HANDSHAKE.map(([name, value]): Header => {
    if (random.chance(0.98)) return [name, value];
    return [name, random.pick(['', '8', 'keep-alive, Upgrade', 'h2c', hostileText(random)])];
  });
  const messages = Array.from({ length: random.integer(0, 4) }, () => message(random, person));
  const publishes = messages.reduce(
    (sum, bytes) => sum + bytes.toString('latin1').split('recipient').length - 1,
    0,
  );
  const frames = messages.flatMap((bytes) => [...framesOf(random, bytes), ...noise(random)]);
  const all = Buffer.concat(frames);
  return { headers, body: random.chance(0.9) ? all : mutateBytes(all, random), publishes };
}

function message(random: Random, person: Person): Buffer {
  if (random.chance(0.05)) return Buffer.from(hostileText(random));
  if (random.chance(0.05)) return Buffer.from(writeJson(hostileJson(random), random));
  const ref = random.chance(0.8) ? ',"ref":"r"' : `,"ref":${writeJson(hostileJson(random), random)}`;
  const text = Buffer.concat([
    Buffer.from('{"publish":'),
    hostileJsonText(random, person),
    Buffer.from(`${random.chance(0.9) ? ref : ''}}`),
  ]);
  return random.chance(0.95) ? text : mutateBytes(text, random);
}

/** A message in one frame or in several. */
function framesOf(random: Random, bytes: Buffer): Buffer[] {
  const mask = Array.from({ length: 4 }, () => random.integer(0, 255));
  if (random.chance(0.8)) return [clientFrame(FIN | TEXT, bytes, mask)];
  const cut = random.integer(0, bytes.length);
  return [
    clientFrame(TEXT, bytes.subarray(0, cut), mask),
    ...noise(random),
    clientFrame(FIN, bytes.subarray(cut), mask),
  ];
}

/** Control frames between the others, and what is no frame. */
function noise(random: Random): Buffer[] {
  if (random.chance(0.8)) return [];
  return [
    random.pick([
      clientFrame(FIN | PING, 'ping'),
      clientFrame(FIN | PONG, ''),
      clientFrame(FIN | PING, 'x'.repeat(126)),
      clientFrame(FIN | CLOSE, Buffer.from([3, 232])),
      clientFrame(FIN | BINARY, 'x'),
      clientFrame(FIN | 0x40 | TEXT, '{}'),
      clientFrame(FIN, 'continued'),
      Buffer.from([FIN | TEXT, 2, 0x7b, 0x7d]),
      Buffer.from([FIN | TEXT, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ]),
  ];
}
