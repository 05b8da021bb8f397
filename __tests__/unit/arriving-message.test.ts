import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { WebSocket } from 'ws';
import { ArrivingBytes } from '../../src/wire/arriving-bytes.ts';
import { ArrivingMessage } from '../../src/ws/arriving-message.ts';

const KIBIBYTE = 1024;

/** The part of a WebSocket that is used here. */
class FakeWebSocket extends EventEmitter {
  isPaused = false;
  closed: number | undefined;
  isTerminated = false;

  close(code: number): void {
    this.closed = code;
  }

  terminate(): void {
    this.isTerminated = true;
  }
}

describe('a message on a WebSocket', () => {
  let webSocket: FakeWebSocket;
  let socket: EventEmitter;
  let arriving: ArrivingBytes;
  let message: ArrivingMessage;
  beforeEach(() => {
    jest.useFakeTimers();
    webSocket = new FakeWebSocket();
    socket = new EventEmitter();
    arriving = new ArrivingBytes(1000 * KIBIBYTE);
    message = new ArrivingMessage(webSocket as unknown as WebSocket, arriving);
    message.start(socket as unknown as Socket);
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** A piece comes in, with what is whole in it. */
  const comes = (bytes: number, ...whole: (readonly ['message' | 'ping' | 'pong', number])[]): void => {
    for (const [event, length] of whole) webSocket.emit(event, Buffer.alloc(length));
    socket.emit('data', Buffer.alloc(bytes));
  };
  /** Seconds pass, with a look in each. */
  const passes = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      jest.advanceTimersByTime(1000);
      message.check(performance.now());
    }
  };

  test('a message that is not whole after 30 s closes the socket, even if bytes keep arriving', () => {
    comes(1);
    for (let second = 0; second < 30; second++) {
      passes(1);
      comes(1);
    }
    expect(webSocket.closed).toBeUndefined();
    passes(1);
    expect(webSocket.closed).toBe(1008);
  });

  test('each message has 30 s of its own, which do not pass while the socket is not read', () => {
    for (let round = 0; round < 5; round++) {
      comes(10);
      passes(25);
      comes(10, ['message', 14]);
    }
    comes(10);
    passes(20);
    webSocket.isPaused = true;
    passes(100);
    webSocket.isPaused = false;
    passes(29);
    expect(webSocket.closed).toBeUndefined();
  });

  test('the pings and pongs of an idle client are not counted as a message, in whatever pieces they come', () => {
    for (let round = 0; round < 200; round++) {
      comes(6, ['pong', 0]);
      comes(4);
      comes(10, ['ping', 8]);
      // A message and the beginning of a ping, whose rest comes later.
      comes(20, ['message', 11]);
      comes(3, ['ping', 0]);
      passes(15);
    }
    expect(webSocket.closed).toBeUndefined();
    expect(arriving.total).toBe(0);
  });

  test('a message and its pieces are counted until it has arrived or its socket is gone', () => {
    for (let piece = 0; piece < 4; piece++) comes(50 * KIBIBYTE);
    comes(131, ['ping', 125]);
    expect(arriving.total).toBe(200 * KIBIBYTE + 5 * 512);
    comes(50 * KIBIBYTE, ['message', 250 * KIBIBYTE]);
    expect(arriving.total).toBe(0);
    for (let piece = 0; piece < 200; piece++) comes(1);
    expect(arriving.total).toBeGreaterThan(200 * 512);
    socket.emit('close');
    expect(arriving.total).toBe(0);
  });

  test('a message without room ends its socket at once', () => {
    comes(2000 * KIBIBYTE);
    expect([webSocket.closed, webSocket.isTerminated]).toEqual([1013, true]);
    expect(arriving.total).toBe(0);
  });
});
