import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { SocketConnection } from '../../src/wire/socket-connection.ts';

/** A socket whose peer takes what the test says, which restarts its timeout, as in node:net. */
class FakeSocket extends EventEmitter {
  bytesWritten = 0;
  writableLength = 0;
  destroyed = false;
  #milliseconds = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Whether part of a write was taken, which its numbers do not show yet. */
  #isPart = false;

  setTimeout(milliseconds: number): void {
    this.#milliseconds = milliseconds;
    this.#refresh();
  }

  write(bytes: Uint8Array): void {
    if (this.writableLength === 0) this.#refresh();
    this.bytesWritten += bytes.length;
    this.writableLength += bytes.length;
  }

  take(bytes: number): void {
    this.writableLength -= bytes;
    this.#refresh();
  }

  takePart(): void {
    this.#isPart = true;
  }

  destroy(): void {
    this.destroyed = true;
    clearTimeout(this.#timer);
  }

  #refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#isPart) this.#refresh();
      else this.emit('timeout');
      this.#isPart = false;
    }, this.#milliseconds);
  }
}

describe('a client', () => {
  let socket: FakeSocket;
  let connection: SocketConnection;
  let ends: boolean[];
  beforeEach(() => {
    jest.useFakeTimers();
    socket = new FakeSocket();
    ends = [];
    const owner = { drained: () => undefined, closed: (stalled: boolean) => void ends.push(stalled) };
    connection = new SocketConnection(socket as unknown as Socket, socket as unknown as Socket);
    connection.start(owner);
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const passes = (seconds: number): void => {
    jest.advanceTimersByTime(seconds * 1000);
  };
  const write = (): void => connection.write(Buffer.alloc(100));

  test('a client that reads nothing for 60 s is cut, whatever is written meanwhile', () => {
    write();
    for (let tenth = 0; tenth < 5; tenth++) {
      passes(10);
      write();
    }
    passes(9.999);
    expect([ends, socket.destroyed]).toEqual([[], false]);
    passes(0.001);
    expect([ends, socket.destroyed]).toEqual([[true], true]);
  });

  test('a client that read part of a write before is cut within 70 s of that', () => {
    write();
    socket.takePart();
    passes(60);
    expect(ends).toEqual([]);
    passes(10);
    expect(ends).toEqual([true]);
  });

  test.each([
    ['all of a write', () => socket.take(100)],
    ['a part of one', () => socket.takePart()],
  ])('a client that reads %s each minute is not cut', (_what, take) => {
    for (let count = 0; count < 10; count++) write();
    for (let minute = 0; minute < 9; minute++) {
      // Soon after a check, so that the next one is not skipped.
      passes(52);
      take();
    }
    expect(ends).toEqual([]);
    passes(70);
    expect(ends).toEqual([true]);
  });

  test('a client that has read everything is not cut while nothing is written, and is checked again after the next write', () => {
    passes(600);
    write();
    socket.take(100);
    passes(600);
    expect(ends).toEqual([]);
    write();
    passes(60);
    expect(ends).toEqual([true]);
  });
});
