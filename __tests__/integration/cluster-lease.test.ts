import { afterEach, expect } from '@jest/globals';
import { publish, send } from '../support/api.ts';
import { readNumber } from '../support/file.ts';
import { NatsServers, natsTest } from '../support/nats.ts';
import { cleanUp, type Ended, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

/** Runs a command on the cluster. */
function command(servers: NatsServers, args: readonly string[], env = {}): Promise<Ended> {
  return Server.run({ args: ['cluster', ...args], env: { NATS_URL: servers.url, ...env }, tap: false });
}

const HOLDS = 'this node holds the lease';

function messagesIn({ database }: Server): number {
  return readNumber(database, 'SELECT count(*) FROM messages');
}

/** Waits until the database of each node has so many messages. */
async function expectMessages(nodes: readonly Server[], count: number): Promise<void> {
  await until(() => nodes.every((node) => messagesIn(node) === count), `${count} messages on each node`);
}

natsTest(
  'all nodes apply the same retention, and it goes on when the node that holds the lease is killed',
  async () => {
    const servers = await NatsServers.start(1);
    const env = { NATS_URL: servers.url };
    expect((await command(servers, ['init', '--replicas', '1'], { RETENTION_MESSAGES: '5' })).code).toBe(0);
    const first = await Server.start({ env });
    await until(() => first.stderr.includes(HOLDS), 'a holder');
    const second = await Server.start({ env: { ...env, RETENTION_MESSAGES: '7' } });
    const warning = 'RETENTION_DAYS and RETENTION_MESSAGES of this node have no effect';
    await until(() => second.stderr.includes(warning), 'the warning');
    const publishMany = async (node: Server): Promise<void> => {
      for (let index = 0; index < 8; index++) await send(node.url, 'bob', index, { sender: 'alice' });
      const short = { sender: 'alice', recipient: 'carol', content: 'short', ttl: 1 };
      expect((await publish(node.url, short)).status).toBe(201);
    };
    await publishMany(second);
    await expectMessages([first, second], 5);
    expect(second.stderr).not.toContain(HOLDS);
    await first.kill();
    await until(() => second.stderr.includes(HOLDS), 'the next holder');
    await publishMany(second);
    await expectMessages([second], 5);
    const changed = await command(servers, ['retention', '--messages', '3']);
    expect([changed.code, changed.stderr]).toEqual([0, '']);
    expect(changed.stdout).toMatch(/ keeps .*messages.*, but only the newest 3 of each recipient\.$/m);
    const negative = await command(servers, ['retention', '--messages', '-1']);
    expect([negative.code, negative.stderr]).toEqual([
      2,
      expect.stringContaining('--messages needs a value that does not begin with "-".'),
    ]);
    expect((await command(servers, ['retention'])).stdout).toMatch(
      / keeps .*messages.*, but only the newest 3 of each recipient\.$/m,
    );
    expect((await command(servers, ['status'])).stdout).toMatch(
      /^retention +.*messages.*, but only the newest 3 of each recipient$/m,
    );
    await expectMessages([second], 3);
    const third = await Server.start({ env, database: first.database });
    await expectMessages([third], 3);
    const ids = 'SELECT group_concat(id) = (SELECT group_concat(id) FROM messages) FROM messages';
    expect(readNumber(third.database, ids)).toBe(1);
    // A lease that is given back is taken at once.
    expect((await second.stop()).code).toBe(0);
    await until(() => third.stderr.includes(HOLDS), 'the third holder');
  },
);
