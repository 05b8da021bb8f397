import { expect, test } from '@jest/globals';
import { ArrivingBytes } from '../../src/wire/arriving-bytes.ts';

const KIBIBYTE = 1024;

/** Something that arrives and notes whether it was refused. */
class Upload {
  refused = false;

  refuse(): void {
    this.refused = true;
  }
}

test('past their bound of memory, the uploads that began first are refused until the others fit', () => {
  const arriving = new ArrivingBytes(1000 * KIBIBYTE);
  const [first, second, third, last] = [new Upload(), new Upload(), new Upload(), new Upload()];
  arriving.set(first, 100 * KIBIBYTE);
  for (const upload of [second, third]) arriving.set(upload, 300 * KIBIBYTE);
  // That it grew later does not make it younger.
  arriving.set(first, 300 * KIBIBYTE);
  expect(arriving.total).toBe(900 * KIBIBYTE);
  arriving.set(last, 600 * KIBIBYTE);
  expect([first, second, third, last].map(({ refused }) => refused)).toEqual([true, true, false, false]);
  expect(arriving.total).toBe(900 * KIBIBYTE);
});

test('uploads that have arrived or were refused are no longer counted, and small ones never are', () => {
  const arriving = new ArrivingBytes(1000 * KIBIBYTE);
  const uploads = Array.from({ length: 100 }, () => new Upload());
  for (const upload of uploads) arriving.set(upload, 64 * KIBIBYTE);
  expect(arriving.total).toBe(0);
  for (const upload of uploads) {
    arriving.set(upload, 900 * KIBIBYTE);
    arriving.delete(upload);
    arriving.delete(upload);
  }
  expect(arriving.total).toBe(0);
  expect(uploads.some(({ refused }) => refused)).toBe(false);
});
