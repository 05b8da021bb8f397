import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, type InputType, type ZlibOptions } from 'node:zlib';
import { Refusal, unavailable } from '../errors.ts';
import type { Arriving, ArrivingBytes } from '../wire/arriving-bytes.ts';
import { LARGE_BYTES, readingTurns } from '../wire/reading-turns.ts';
import type { Handler } from './handler.ts';

/** The longest body that is accepted, decompressed. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** How many bodies are decompressed at the same time: each may become 4 MiB, however small it was. */
const MAX_DECOMPRESSING = 4;

/** Decompresses a whole body, and returns how much of it was read. */
type Decompress = (bytes: Buffer, options: ZlibOptions) => Promise<Decompressed>;

interface Decompressed {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

type WithInfo = (
  bytes: InputType,
  options: ZlibOptions,
  done: (error: Error | null, result: Decompressed) => void,
) => void;

// With `info`, the result is an object. The types do not declare that.
const decompressor = (zlib: unknown): Decompress => promisify(zlib as WithInfo);

/** `x-gzip` is gzip (RFC 9110 §8.4.1.3). */
const DECOMPRESSORS: ReadonlyMap<string, Decompress | undefined> = new Map([
  ['identity', undefined],
  ['gzip', decompressor(gunzip)],
  ['x-gzip', decompressor(gunzip)],
  ['deflate', decompressor(inflate)],
  ['br', decompressor(brotliDecompress)],
]);

/**
 * Returns the handler that reads a body into `request.body`, a Buffer of at most 4 MiB, which is empty if there is no
 * body; gzip, deflate and br are decompressed. The memory of a body follows its bytes, however many pieces they arrive
 * in. At most one large body is passed on in each turn of the event loop.
 *
 * A refused body is read to its end first: otherwise a client that is still sending would lose the answer (RFC 9112 §9.6).
 *
 * @param arriving counts large bodies while they arrive
 * @throws {Refusal} from the handler: 400 if it cannot be read, 413 if it is too large, 415 if it is in another coding,
 *   503 if others need its room
 */
export function readBody(arriving: ArrivingBytes): Handler {
  const decompressing = new Semaphore(MAX_DECOMPRESSING);
  return async (request, _response, next) => {
    const decompress = decompressorOf(request);
    let body = await new ArrivingBody(request, arriving).whole();
    if (decompress !== undefined && body.length > 0) {
      body = await new CompressedBody(body, arriving).decompressed(decompress, decompressing);
    }
    request.body = body;
    next();
  };
}

function decompressorOf({ headers }: IncomingMessage): Decompress | undefined {
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (DECOMPRESSORS.has(coding)) return DECOMPRESSORS.get(coding);
  throw new Refusal(
    'unsupported-media-type',
    'The Content-Encoding must be gzip, deflate or br, or be left out.',
  );
}

async function decompressed(decompress: Decompress, bytes: Buffer): Promise<Buffer> {
  let result: Decompressed;
  try {
    result = await decompress(bytes, { maxOutputLength: MAX_BODY_BYTES, info: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw new Refusal(
      'malformed',
      'The body is cut short, or is not compressed as its Content-Encoding says.',
    );
  }
  if (result.engine.bytesWritten === bytes.length) return result.buffer;
  throw new Refusal('malformed', 'The compressed body is followed by other bytes.');
}

function tooLarge(): Refusal {
  return new Refusal('too-large', 'The body is over 4 MiB: split the batch.');
}

function tooManyBodies(): Refusal {
  return unavailable('Too many large bodies are arriving at once. Send this one again, faster.', 1);
}

/** A body that is arriving: one buffer that grows with it. */
class ArrivingBody implements Arriving {
  readonly #request: IncomingMessage;
  readonly #arriving: ArrivingBytes;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  #fault: Refusal | undefined;
  #reject: (fault: Refusal) => void = () => undefined;

  constructor(request: IncomingMessage, arriving: ArrivingBytes) {
    this.#request = request;
    this.#arriving = arriving;
  }

  /**
   * Reads it. Call it once.
   *
   * @returns settles when the whole body has arrived. A large one settles in a turn of its own, and is counted until then
   * @throws {Refusal} if it is too large, ends too early, or others need its room
   */
  whole(): Promise<Buffer> {
    const request = this.#request;
    if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) this.#fault = tooLarge();
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      request
        .on('data', (bytes: Buffer) => this.#take(bytes))
        .on('end', () => {
          const settle = (): void => {
            this.#arriving.delete(this);
            if (this.#fault === undefined) resolve(this.#buffer.subarray(0, this.#length));
            else reject(this.#fault);
          };
          if (this.#length < LARGE_BYTES) settle();
          else readingTurns.wait(settle);
        })
        .on('error', () => undefined)
        .on('close', () => {
          if (!request.readableEnded) this.#fail(new Refusal('malformed', 'The body ended too early.'));
        });
    });
  }

  refuse(): void {
    this.#fail(tooManyBodies());
  }

  #fail(fault: Refusal): void {
    this.#drop(fault);
    this.#reject(fault);
  }

  /** Drops the bytes that have arrived, and all that follow. */
  #drop(fault: Refusal): void {
    this.#fault ??= fault;
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    this.#arriving.delete(this);
  }

  #take(bytes: Buffer): void {
    if (this.#fault !== undefined) return;
    const length = this.#length + bytes.length;
    if (length > MAX_BODY_BYTES) {
      this.#drop(tooLarge());
    } else if (this.#length === 0) {
      // Most bodies arrive in one piece, which is used as it is.
      this.#buffer = bytes;
      this.#length = length;
    } else {
      if (length > this.#buffer.length) this.#grow(length);
      bytes.copy(this.#buffer, this.#length);
      this.#length = length;
      this.#arriving.set(this, this.#buffer.length);
    }
  }

  #grow(length: number): void {
    const grown = Buffer.allocUnsafe(Math.min(MAX_BODY_BYTES, Math.max(2 * length, 1024)));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** A body that has arrived and waits to be decompressed. */
class CompressedBody implements Arriving {
  readonly #arriving: ArrivingBytes;
  #bytes: Buffer | undefined;
  #reject: (fault: Refusal) => void = () => undefined;

  constructor(bytes: Buffer, arriving: ArrivingBytes) {
    this.#bytes = bytes;
    this.#arriving = arriving;
  }

  /** Decompresses it when a place is free. @throws {Refusal} if that fails, or others need its room meanwhile */
  decompressed(decompress: Decompress, places: Semaphore): Promise<Buffer> {
    const refused = new Promise<never>((_resolve, reject) => {
      this.#reject = reject;
    });
    this.#arriving.set(this, this.#bytes?.length ?? 0);
    const result = places.pass(async () => {
      this.#arriving.delete(this);
      if (this.#bytes === undefined) return Buffer.alloc(0);
      const whole = await decompressed(decompress, this.#bytes);
      if (whole.length >= LARGE_BYTES) await readingTurns.turn();
      return whole;
    });
    return Promise.race([refused, result]);
  }

  refuse(): void {
    this.#bytes = undefined;
    this.#reject(tooManyBodies());
  }
}

/** A limit on concurrent work. Further work waits in line. */
class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
