/** An issuer's https server that has a key set, and can fail in many ways. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';
import { selfSigned } from './certificate.ts';

export type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers with a key set, or with any other text. */
export function serving(...keys: readonly JWK[]): Answering {
  return (_request, response) => {
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys }));
  };
}

export class KeyServer {
  /** The requests to it, in order. */
  readonly asked: string[] = [];
  /** How it answers from now on. */
  answering: Answering;
  /** Of its certificate, for `NODE_EXTRA_CA_CERTS`. */
  readonly certificateFile: string;
  readonly #server: Server;
  #port = 0;

  private constructor(answering: Answering) {
    this.answering = answering;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { file, pem } = selfSigned(privateKey);
    this.certificateFile = file;
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    this.#server = createServer({ key, cert: pem }, (request, response) => {
      this.asked.push(request.url ?? '');
      this.answering(request, response);
    });
  }

  static async start(answering: Answering): Promise<KeyServer> {
    const server = new KeyServer(answering);
    await server.listen();
    return server;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}/jwks.json`;
  }

  /** Listens, after `close` on the same port again. */
  async listen(): Promise<void> {
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Ends it with all its connections. Nothing is done where it does not listen. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
