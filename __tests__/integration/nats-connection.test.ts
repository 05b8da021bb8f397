import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { CertificateAuthority } from '../support/certificate.ts';
import { freePorts } from '../support/free-ports.ts';
import { describeNats, type NatsConfig, NatsServers, natsTest } from '../support/nats.ts';
import { closeLinks, faultOfStart, KeptLog, linkTo, type Variables } from '../support/nats-link.ts';
import { credentials, overTls, publicKey, sharedToken, userAndPassword } from '../support/nats-sign-in.ts';
import { cleanUp, newFolder, Server, undoAtEnd } from '../support/server.ts';
import { until } from '../support/until.ts';

afterEach(closeLinks);
afterAll(cleanUp);

function fileWith(text: string): string {
  const file = join(newFolder(), 'file');
  writeFileSync(file, text);
  return file;
}

/** Listens on a free port of loopback until the end of the suite. Returns `127.0.0.1:PORT`. */
async function listen(server: TcpServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undoAtEnd(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Puts what stands before the "@" into a URL. */
const withUser = (url: string, userInfo: string): string => url.replace('://', `://${userInfo}@`);

interface Way {
  readonly config: NatsConfig;
  /** The variables that sign in, added to `NATS_URL`. */
  readonly right: (url: string) => Variables;
  /** Variables that do not sign in, and the words of the line that the start ends with. */
  readonly wrong: (url: string) => readonly (readonly [variables: Variables, words: string])[];
}

const WAYS: Readonly<Record<string, () => Way>> = {
  'a user and a password': () => {
    const { config, user, password } = userAndPassword();
    const right = { NATS_USER: user, NATS_PASSWORD: password };
    return {
      config,
      right: () => right,
      wrong: (url) => [
        [{}, 'asks to sign in: set NATS_CREDS, NATS_NKEY, NATS_USER or NATS_TOKEN'],
        [{ ...right, NATS_PASSWORD: 'another-password' }, 'does not accept NATS_USER with its password'],
        [
          { NATS_URL: withUser(url, `${user}:another-password`) },
          'does not accept the user or token in NATS_URL',
        ],
        [{ NATS_TOKEN: 'another-password' }, 'does not accept NATS_TOKEN'],
      ],
    };
  },
  'a password in a file': () => {
    const { config, user, password } = userAndPassword();
    return {
      config,
      right: () => ({ NATS_USER: user, NATS_PASSWORD_FILE: fileWith(`${password}\n`) }),
      wrong: () => [
        [
          { NATS_USER: user, NATS_PASSWORD_FILE: fileWith('another-password') },
          'does not accept NATS_USER with its password',
        ],
        [{ NATS_USER: user, NATS_PASSWORD_FILE: fileWith('') }, 'NATS_PASSWORD_FILE names a file'],
      ],
    };
  },
  'a user and a password in the URL': () => {
    const [user, password] = ['app:1', 'p@ss/w%rd'];
    const config = { authorization: { user, password } };
    return {
      config,
      right: (url) => ({ NATS_URL: withUser(url, 'app%3A1:p%40ss%2Fw%25rd') }),
      wrong: () => [],
    };
  },
  'a token': () => {
    const { config, token } = sharedToken();
    return {
      config,
      right: () => ({ NATS_TOKEN: token }),
      wrong: () => [[{ NATS_TOKEN: 'another-token' }, 'does not accept NATS_TOKEN']],
    };
  },
  'a token in a file': () => {
    const { config, token } = sharedToken();
    return { config, right: () => ({ NATS_TOKEN_FILE: fileWith(token) }), wrong: () => [] };
  },
  'a token in the URL': () => {
    const { config, token } = sharedToken();
    return {
      config,
      right: (url) => ({ NATS_URL: withUser(url, token) }),
      wrong: (url) => [[{ NATS_URL: withUser(url, 'another-token') }, 'the user or token in NATS_URL']],
    };
  },
  'the seed of an nkey': () => {
    const { config, seedFile } = publicKey();
    return {
      config,
      right: () => ({ NATS_NKEY: seedFile }),
      wrong: () => [[{ NATS_NKEY: publicKey().seedFile }, 'does not accept NATS_NKEY']],
    };
  },
  'a file of credentials': () => {
    const { config, credsFile } = credentials();
    return {
      config,
      right: () => ({ NATS_CREDS: credsFile }),
      wrong: () => [[{ NATS_CREDS: credentials().credsFile }, 'does not accept NATS_CREDS']],
    };
  },
  'a file of credentials with line breaks of Windows, and none at its end': () => {
    const { config, credsFile } = credentials();
    const text = readFileSync(credsFile, 'utf8').trim().replaceAll('\n', '\r\n');
    return { config, right: () => ({ NATS_CREDS: fileWith(text) }), wrong: () => [] };
  },
  'a certificate': () => {
    const { config, authority, client } = overTls({ verify: true });
    const other = new CertificateAuthority().sign('client');
    const right = { NATS_CA: authority.file, NATS_CERT: client.certificate, NATS_KEY: client.key };
    return {
      config,
      right: () => right,
      wrong: (url) => [
        [{ NATS_CA: authority.file }, 'asks for a client certificate'],
        [
          { NATS_CA: authority.file, NATS_CERT: other.certificate, NATS_KEY: other.key },
          'does not accept the certificate in NATS_CERT',
        ],
        [{ ...right, NATS_CA: new CertificateAuthority().file }, 'NATS_CA must have that authority'],
        [{ NATS_URL: url.replace('nats:', 'tls:') }, 'has a certificate of an unknown authority'],
        [{ NATS_URL: url }, 'set NATS_CA'],
      ],
    };
  },
};

describeNats('signing in to NATS', () => {
  describe.each(Object.entries(WAYS))('%s', (_what, way) => {
    const { config, right, wrong } = way();
    let url: string;
    beforeAll(async () => {
      ({ url } = await NatsServers.start(1, { config }));
    });

    natsTest('a node that signs in as its NATS server wants is connected', async () => {
      const log = new KeptLog();
      const link = await linkTo({ NATS_URL: url, ...right(url) }, log);
      expect(link.isConnected).toBe(true);
      expect(link.maxPayload).toBe(8 * 1024 * 1024);
      expect(log.lines.map(({ msg }) => msg)).toEqual(['connected to NATS']);
    });

    natsTest('a node that signs in otherwise ends its start with one line', async () => {
      await Promise.all(
        wrong(url).map(async ([variables, words]) => {
          const line = await faultOfStart({ NATS_URL: url, ...variables });
          expect(line).toContain(words);
          expect(line).not.toMatch(/another-(password|token)|\n/);
        }),
      );
    });
  });
});

describeNats('TLS', () => {
  natsTest('a node uses TLS with a server whose address is an IP address', async () => {
    const authority = new CertificateAuthority();
    const { certificate: cert_file, key: key_file } = authority.sign('server', ['IP:127.0.0.1']);
    const { url } = await NatsServers.start(1, { config: { tls: { cert_file, key_file } } });
    const link = await linkTo({ NATS_URL: url.replace('nats:', 'tls:'), NATS_CA: authority.file });
    expect(link.isConnected).toBe(true);
  });

  natsTest.each([
    ['127.0.0.1', 'DNS:localhost'],
    ['localhost', 'IP:127.0.0.1'],
    ['127.0.0.1', 'DNS:a.example'],
  ])('a node that connects to %s rejects a certificate for %s', async (host, name) => {
    const authority = new CertificateAuthority();
    const { certificate: cert_file, key: key_file } = authority.sign('server', [name]);
    const { url } = await NatsServers.start(1, { config: { tls: { cert_file, key_file } } });
    const line = await faultOfStart({ NATS_URL: url.replace('127.0.0.1', host), NATS_CA: authority.file });
    expect(line).toContain('has a certificate for other names than the hosts in NATS_URL');
  });

  natsTest('NATS_URL with tls: ends the start if the server does not offer TLS', async () => {
    const { url } = await NatsServers.start(1);
    const line = await faultOfStart({ NATS_URL: url.replace('nats:', 'tls:') });
    expect(line).toContain('does not offer TLS');
  });
});

describe('a start without a usable NATS server', () => {
  test('a start without a usable NATS server names each server, and why it is unusable', async () => {
    const [port = 0] = await freePorts(1);
    // No resolver is asked for a label of more than 63 letters.
    const name = `${'x'.repeat(64)}.invalid`;
    const silent = await listen(createServer());
    const ssh = await listen(createServer((socket) => socket.write('SSH-2.0-OpenSSH\r\n')));
    const closing = await listen(createServer((socket) => socket.destroy()));
    const full = await listen(
      createServer((socket) =>
        socket.write('INFO {"version":"2.15.1"}\r\n-ERR \'maximum connections exceeded\'\r\n'),
      ),
    );
    const addresses = [`127.0.0.1:${port}`, name, silent, ssh, closing, full];
    const line = await faultOfStart({ NATS_URL: addresses.map((address) => `nats://${address}`).join() });
    expect(await faultOfStart({ NATS_URL: `nats://127.0.0.1:${port}` })).toMatch(/run there\?$/);
    const [first = '', ...others] = line.split('; ');
    expect([first.replace('No server of NATS_URL can be used. ', ''), ...others]).toEqual([
      `127.0.0.1:${port} refuses connections: does a server run there?`,
      expect.stringMatching(
        /^x+\.invalid:4222 is a name that (has no address|cannot be looked up now) \(E\w+\)$/,
      ),
      `${silent} accepts connections but says nothing: is this its port for clients?`,
      `${ssh} does not speak the protocol of NATS: is this its port for clients?`,
      expect.stringMatching(new RegExp(`^${closing} closes the connection \\(.+\\)$`)),
      `${full} answers "maximum connections exceeded".`,
    ]);
  });
});

describeNats('JetStream', () => {
  natsTest('a start ends if no NATS server has JetStream, or not for this account', async () => {
    const accounts = {
      WITHOUT: { users: [{ user: 'app', password: 'p' }] },
      WITH: { jetstream: 'enabled', users: [{ user: 'other', password: 'p' }] },
    };
    const [without, withAccounts] = await Promise.all([
      NatsServers.start(1, { config: { jetstream: false } }),
      NatsServers.start(1, { config: { accounts } }),
    ]);
    const { url } = withAccounts;
    const [noServer, notForAccount] = await Promise.all([
      faultOfStart({ NATS_URL: without.url }),
      faultOfStart({ NATS_URL: url, NATS_USER: 'app', NATS_PASSWORD: 'p' }),
    ]);
    expect(noServer).toMatch(/^JetStream is not enabled in NATS .*jetstream \{/);
    expect(notForAccount).toMatch(/^JetStream is not enabled for this account of NATS/);
    expect((await linkTo({ NATS_URL: url, NATS_USER: 'other', NATS_PASSWORD: 'p' })).isConnected).toBe(true);
  });

  natsTest('a start ends if its user may not ask JetStream', async () => {
    const users = [{ user: 'app', password: 'p', permissions: { publish: ['tidings.>'] } }];
    const { url } = await NatsServers.start(1, { config: { authorization: { users } } });
    expect(await faultOfStart({ NATS_URL: url, NATS_USER: 'app', NATS_PASSWORD: 'p' })).toMatch(
      /does not let this user ask JetStream .*\$JS\.API\.>/,
    );
  });
});

describe('the service', () => {
  natsTest('a service that may not sign in ends at its start with code 1 and one line', async () => {
    const { config, user } = userAndPassword();
    const { url } = await NatsServers.start(1, { config });
    const env = { NATS_URL: url, NATS_USER: user, NATS_PASSWORD: 'another-password' };
    const { code, stdout, stderr } = await Server.run({ env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^tidings: No server of NATS_URL can be used\. \S+ does not accept NATS_USER with its password\.\n$/,
    );
  });

  test('a service ends with code 0 if a signal comes while its start waits for NATS', async () => {
    let isAsked = false;
    const silent = await listen(createServer(() => (isAsked = true)));
    const starting = Server.launch({ env: { NATS_URL: `nats://${silent}` } });
    await until(() => isAsked);
    starting.signal('SIGTERM');
    const ended = await starting.ended;
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stderr).not.toMatch(/"level":(50|60)|\n {4}at /);
  });

  test('a service loads the client of NATS only with NATS_URL', async () => {
    const spy = join(newFolder(), 'spy.cjs');
    const lookFor = "Object.keys(require('module')._cache).filter((file) => file.includes('@nats-io'))";
    writeFileSync(
      spy,
      `process.on('exit', () => require('fs').writeSync(2, \`files: \${${lookFor}.length}.\`));`,
    );
    const shipped = { nodeArgs: ['--require', spy], isShipped: true };
    const alone = await (await Server.start(shipped)).stop();
    expect(alone.stderr).toContain('files: 0.');
    const [port = 0] = await freePorts(1);
    const other = await Server.run({ ...shipped, env: { NATS_URL: `nats://127.0.0.1:${port}` } });
    expect(other.stderr).toMatch(/files: [1-9]\d+\.$/);
  });
});
