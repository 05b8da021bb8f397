import { describe, expect, test } from '@jest/globals';
import { BROWSERS_PUSH_HOSTS, PushHosts, shortened } from '../../src/push/push-hosts.ts';
import { words } from '../support/words.ts';

const browsers = new PushHosts(BROWSERS_PUSH_HOSTS);

describe('the push services of browsers', () => {
  test.each([
    ['Chrome', 'https://fcm.googleapis.com/fcm/send/abc:def'],
    ['Firefox', 'https://updates.push.services.mozilla.com/wpush/v2/abc'],
    ['Edge', 'https://wns2-db5p.notify.windows.com/w/?token=abc%2fdef'],
    ['Safari', 'https://web.push.apple.com/abc'],
  ])('an endpoint of %s is accepted unchanged', (_browser, endpoint) => {
    expect(browsers.read(endpoint)).toMatchObject({ url: { href: endpoint } });
  });

  test('all names below an entry of PUSH_HOSTS are one push service', () => {
    const services = ['a', 'b.c'].map((name) => browsers.read(`https://${name}.notify.windows.com/`));
    expect(services).toMatchObject([
      { service: '*.notify.windows.com' },
      { service: '*.notify.windows.com' },
    ]);
  });
});

describe('an endpoint', () => {
  test.each([
    ['a name of somebody else', 'https://example.org/x'],
    ['a name that begins like one', 'https://fcm.googleapis.com.example.org/x'],
    ['a name that ends like one', 'https://evilfcm.googleapis.com/x'],
    ['a name that ends like a suffix', 'https://evilnotify.windows.com/x'],
    ['the suffix itself', 'https://notify.windows.com/x'],
    ['a name below an exact one', 'https://x.fcm.googleapis.com/x'],
    ['a dot at the end', 'https://fcm.googleapis.com./x'],
    ['a dot at the end of a suffix', 'https://x.notify.windows.com./x'],
    ['an empty label', 'https://x..notify.windows.com/x'],
    ['a label with an underscore', 'https://a_b.notify.windows.com/x'],
    ['letters that look like others', 'https://fcm.gооgleapis.com/x'],
    ['letters in punycode', 'https://xn--fcm-.googleapis.com/x'],
    ['plain http', 'http://fcm.googleapis.com/x'],
    ['another scheme', 'ftp://fcm.googleapis.com/x'],
    ['a file', 'file:///etc/passwd'],
    ['data', 'data:text/plain,x'],
    ['another port', 'https://fcm.googleapis.com:8443/x'],
    ['a name in it', 'https://user@fcm.googleapis.com/x'],
    ['a password in it', 'https://:secret@fcm.googleapis.com/x'],
    ['a host as a name in it', 'https://fcm.googleapis.com@example.org/x'],
    ['a backslash before another host', 'https://example.org\\@fcm.googleapis.com/x'],
    ['a fragment', 'https://fcm.googleapis.com/x#y'],
    ['no scheme', '//fcm.googleapis.com/x'],
    ['no host', 'https:///x'],
    ['nothing', ''],
    ['too long a text', `https://fcm.googleapis.com/${'x'.repeat(2048)}`],
  ])('an endpoint with %s is refused', (_what, endpoint) =>
    expect(browsers.read(endpoint)).toEqual(expect.stringMatching(/^must /)),
  );

  test.each(
    words(`
      127.0.0.1 127.1 2130706433 0x7f000001 0177.0.0.1 0x7f.1 127.0.0.1. 8.8.8.8 [::1] [::] [::ffff:127.0.0.1]
      [::ffff:7f00:1] [64:ff9b::7f00:1] ①②⑦.⓪.⓪.① 127。0。0。1
    `),
  )('an endpoint with the address %s as its host is refused', (host) => {
    expect(browsers.read(`https://${host}/x`)).toBe('must name a host, not an address');
  });

  test('an endpoint is accepted however the name of its host is written', () => {
    for (const host of [
      'FCM.googleapis.COM',
      'ｆｃｍ.googleapis.com',
      'fcm%2Egoogleapis.com',
      'fcm。googleapis.com',
    ]) {
      // These are one name, and so it is the name that is called.
      expect(browsers.read(`https://${host}/x`)).toMatchObject({
        url: { href: 'https://fcm.googleapis.com/x' },
      });
    }
    expect(browsers.read('https://fcm.googleapis.com:443/x')).toMatchObject({ url: { port: '' } });
  });
});

test.each(
  words(`
    * *. *.com com localhost https://push.example.org push.example.org:443 push.example.org. 127.0.0.1 *.0.0.1
    [::1] a.*.example.org *push.example.org push.example.org/x PUSH.example.org é.example.org -a.example.org
    ${'a'.repeat(64)}.example.org
  `),
)('%s is not accepted as an entry of PUSH_HOSTS', (entry) => {
  expect(() => new PushHosts(['push.example.org', entry])).toThrow(RangeError);
});

test('an endpoint is shown by its host and its end, and a short one by its host alone', () => {
  expect(shortened('https://push.example.org/w/?token=0123456789abcdefghij')).toBe(
    'https://push.example.org/…efghij',
  );
  expect(shortened('https://push.example.org/abcdefghij')).toBe('https://push.example.org/…');
});
