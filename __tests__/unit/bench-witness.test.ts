import { expect, test } from '@jest/globals';
import { CONTENT, Template } from '../../bench/client/template.js';
import { Witness } from '../../bench/client/witness.js';

function frame(publisher: number, count: number): string {
  const template = new Template(CONTENT);
  template.number(publisher, count);
  return `data: {"content":"${template.bytes.toString()}"}\nid: 1\n\n`;
}

test('a witness counts each message, however the network cuts the stream', () => {
  const stream = frame(0, 0) + frame(7, 0) + frame(0, 1) + frame(7, 1);
  const witness = new Witness(false, true);
  for (const byte of stream) witness.read(byte);
  expect(witness).toMatchObject({ messages: 4, fault: undefined });
});

test('a witness reads a stream that comes in chunks, wherever these are cut', () => {
  const stream = frame(0, 0) + frame(0, 1) + frame(0, 2);
  const parts = [stream.slice(0, 30), stream.slice(30, 31), stream.slice(31)];
  const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
  const witness = new Witness(true, true);
  for (const byte of chunks) witness.read(byte);
  expect(witness).toMatchObject({ messages: 3, fault: undefined });
});

test('a message that comes twice, or after a later one of its publisher, is a fault', () => {
  const twice = new Witness(false, true);
  twice.read(frame(0, 0) + frame(1, 0) + frame(0, 0));
  expect(twice.fault).toBe('message 00000000 of publisher 00000 came after 0');

  const late = new Witness(false, true);
  late.read(frame(3, 2) + frame(3, 1));
  expect(late.fault).toBe('message 00000001 of publisher 00003 came after 2');
});

test('a server that promises no order is not held to one', () => {
  const witness = new Witness(false, false);
  witness.read(frame(3, 2) + frame(3, 1));
  expect(witness).toMatchObject({ messages: 2, fault: undefined });
});
