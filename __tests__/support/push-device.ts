/** A device that takes notifications, as far as its push service and a page know it: an endpoint and its keys. */
import { createECDH, randomBytes } from 'node:crypto';
import { decrypt } from 'http_ece';
import { importJWK, jwtVerify } from 'jose';

/** A request as it came to a push service. */
export interface Pushed {
  readonly host: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** The payload that a service worker gets. */
export interface Payload {
  readonly type: string;
  readonly recipient: string;
  readonly peer: string;
  readonly unread: number;
  readonly sender?: string;
  readonly id?: number;
  readonly cursor?: string;
  readonly content?: unknown;
  readonly shortened?: boolean;
  readonly through?: number;
}

/** A notification as a push service and a browser handle it. */
export interface Opened {
  readonly payload: Payload;
  readonly payloadBytes: number;
  readonly ttl: number;
  readonly topic: string;
  readonly urgency: string;
  /** The claims of the signature, and the key that made it. */
  readonly claims: { readonly aud?: unknown; readonly exp?: number; readonly sub?: string };
  readonly publicKey: string;
}

export class PushDevice {
  readonly endpoint: string;
  /** When its subscription ends. */
  expirationTime: number | null = null;
  readonly #keys = createECDH('prime256v1');
  readonly #auth = randomBytes(16);

  /** @param host of its push service */
  constructor(host = 'push.example.org') {
    this.endpoint = `https://${host}/push/${randomBytes(24).toString('base64url')}`;
    this.#keys.generateKeys();
  }

  /** As `PushSubscription.toJSON()` gives it. */
  get subscription(): {
    endpoint: string;
    expirationTime: number | null;
    keys: { p256dh: string; auth: string };
  } {
    const keys = { p256dh: this.#keys.getPublicKey('base64url'), auth: this.#auth.toString('base64url') };
    return { endpoint: this.endpoint, expirationTime: this.expirationTime, keys };
  }

  /** Whether a request is for this device. */
  isOf({ host, path }: Pushed): boolean {
    return this.endpoint === `https://${host}${path}`;
  }

  /**
   * Opens a request as its push service (RFC 8030, RFC 8292) and its browser (RFC 8291) do.
   *
   * @throws where the signature or the encryption is not good
   */
  async open({ host, headers, body }: Pushed): Promise<Opened> {
    const [, token = '', publicKey = ''] =
      /^vapid t=([\w.-]+), k=([\w-]+)$/.exec(headers['authorization'] ?? '') ?? [];
    const point = Buffer.from(publicKey, 'base64url');
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'));
    const key = await importJWK({ kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' }, 'ES256');
    const { payload: claims } = await jwtVerify(token, key, {
      algorithms: ['ES256'],
      audience: `https://${host}`,
      requiredClaims: ['exp', 'sub'],
    });
    if (headers['content-encoding'] !== 'aes128gcm') throw new Error(JSON.stringify(headers));
    const text = this.decrypt(body);
    return {
      payload: JSON.parse(text.toString()) as Payload,
      payloadBytes: text.length,
      ttl: Number(headers['ttl']),
      topic: headers['topic'] ?? '',
      urgency: headers['urgency'] ?? '',
      claims,
      publicKey,
    };
  }

  /** @throws where it was not encrypted for this device */
  decrypt(body: Buffer): Buffer {
    return decrypt(body, { version: 'aes128gcm', privateKey: this.#keys, authSecret: this.#auth });
  }
}
