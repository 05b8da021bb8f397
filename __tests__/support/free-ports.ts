/** Ports of loopback on which nothing listens. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * Returns so many free ports, no two the same. They are below those that systems give to connections (Linux: from 32768),
 * so a program that is away for a while finds its port free when it is started again.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  while (held.size < count) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = createServer().listen(port, '127.0.0.1');
    // Rejects if something listens there.
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (isFree) held.set(port, server);
  }
  for (const server of held.values()) {
    server.close();
    await once(server, 'close');
  }
  return [...held.keys()];
}
