import { afterEach, describe, expect } from '@jest/globals';
import { networkTest, PrivateNetwork } from '../support/private-network.ts';
import { cleanUp } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const PHONE = 40_001;
const LAPTOP = 40_002;

describe('a device that vanishes without a word', () => {
  networkTest(
    'is gone when TCP gives up on it: its stream is closed and it is offline; others are untouched',
    async () => {
      const network = await PrivateNetwork.start({ env: { HEARTBEAT_SECONDS: '1' } });
      const phone = network.open('recipient=bob', PHONE);
      await phone.waitFor('live');
      const laptop = network.open('recipient=ann&presence=bob', LAPTOP);
      await laptop.waitFor('presence');
      expect(laptop.of('presence')[0]?.data).toMatchObject({ recipient: 'bob', online: true, devices: 1 });

      network.losePacketsOf(PHONE);
      await phone.kill();
      // Not known yet to anybody.
      expect(network.request('/presence?recipient=bob')).toMatchObject({ bob: { online: true, devices: 1 } });
      expect(network.hasConnection(PHONE)).toBe(true);
      network.request('/messages', 'recipient=bob', 'content=lost');
      network.request('/messages', 'recipient=ann', 'content=first');
      await laptop.waitFor('message');

      await until(() => {
        const { bob } = network.request('/presence?recipient=bob') as { bob: { devices: number } };
        return bob.devices === 0;
      }, 'the stream to be closed');
      expect(network.hasConnection(PHONE)).toBe(false);
      await laptop.waitFor('presence', 2);
      expect(laptop.of('presence')[1]?.data).toMatchObject({ recipient: 'bob', online: false, devices: 0 });

      // It comes back elsewhere, and has missed nothing.
      const tablet = network.open('recipient=bob&lastEventId=0', PHONE + 10);
      await tablet.waitFor('live');
      expect(tablet.of('message').map(({ data }) => data as unknown)).toMatchObject([{ content: 'lost' }]);
      await laptop.waitFor('presence', 3);
      network.request('/messages', 'recipient=ann', 'content=second');
      await laptop.waitFor('message', 2);
      expect(laptop.of('message').map(({ data }) => data as unknown)).toMatchObject([
        { content: 'first' },
        { content: 'second' },
      ]);
      expect(laptop.ended).toBe(false);
      const { code, stderr } = await network.server.stop();
      expect(code).toBe(0);
      expect(stderr).not.toMatch(/"level":(50|60)/);
    },
    60_000,
  );
});
