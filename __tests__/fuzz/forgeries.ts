/** Tokens that a forger would try against a service with `SECRET`, an RSA, an EC and an Ed25519 key, without having one. */
import { createPublicKey, randomBytes } from 'node:crypto';
import { EncryptJWT, importJWK, type JWK } from 'jose';
import { claimsOf, rawToken, SECRET, segment, signature, type TestKey, tokenOf } from '../support/tokens.ts';
import { words } from '../support/words.ts';

export interface ForgersKeys {
  /** Of the service's set, with the kids `rsa`, `ec` and `ed`. */
  readonly rsa: TestKey;
  readonly ec: TestKey;
  readonly ed: TestKey;
  /** Of nobody's. */
  readonly own: TestKey;
  readonly ownEc: TestKey;
  readonly ownEd: TestKey;
  readonly ec384: TestKey;
  /** A certificate of `own`, DER in base64. */
  readonly ownCertificate: string;
}

const ALL = { sendTo: ['*'], sendAs: ['*'], read: ['*'] };

/**
 * The forgeries by what is wrong with them, each one only.
 *
 * @param good a token of `SECRET`, to be changed
 * @param trap the origin of a forger's own server
 */
export async function forgeriesOf(
  keys: ForgersKeys,
  good: string,
  trap: string,
): Promise<Map<string, string>> {
  const claims = claimsOf('alice', ALL);
  const { rsa, ec, ed, own } = keys;
  const forgeries = new Map<string, string>();
  const add = (what: string, token: string) => forgeries.set(what, token);

  // [RFC 8725 §2.1] Algorithms that are no signature.
  for (const alg of ['none', 'None', 'NONE', 'nOnE', 'none ', ' none', '', 'null', 'none\0']) {
    const unsigned = `${segment({ alg })}.${segment(claims)}`;
    add(`alg ${JSON.stringify(alg)} without signature`, `${unsigned}.`);
    add(`alg ${JSON.stringify(alg)} with two segments`, unsigned);
    add(`alg ${JSON.stringify(alg)} with a signature`, `${unsigned}.${good.split('.')[2] ?? ''}`);
    add(`alg ${JSON.stringify(alg)} with a kid`, `${segment({ alg, kid: 'rsa' })}.${segment(claims)}.`);
  }
  const names = words('hs256 HS1 HMAC __proto__ constructor dir A256KW RSA1_5');
  for (const alg of [null, 0, true, [], ['HS256'], {}, undefined, 'HS256 ', ...names]) {
    const input = `${segment({ alg })}.${segment(claims)}`;
    add(`alg ${JSON.stringify(alg)}`, `${input}.${signature('HS256', input, SECRET)}`);
  }

  // [RFC 8725 §2.1] A public key taken for a shared secret.
  for (const [name, { publicJwk, kid }] of Object.entries({ rsa, ec, ed })) {
    const bare = JSON.parse(JSON.stringify(publicJwk, ['kty', 'n', 'e', 'crv', 'x', 'y'])) as JWK;
    const key = createPublicKey({ key: bare as Record<string, unknown>, format: 'jwk' });
    const pem = key.export({ type: 'spki', format: 'pem' }).toString();
    const shapes: [string, string | Uint8Array][] = [
      ['SPKI PEM', pem],
      ['SPKI PEM without its last line end', pem.trimEnd()],
      ['SPKI DER', key.export({ type: 'spki', format: 'der' })],
      ['JWK as published', JSON.stringify(publicJwk)],
      ['JWK without alg and kid', JSON.stringify(bare)],
      ['modulus or x', Buffer.from(publicJwk.n ?? publicJwk.x ?? '', 'base64url')],
      ['modulus or x as text', publicJwk.n ?? publicJwk.x ?? ''],
    ];
    if (name === 'rsa') {
      shapes.push(['PKCS1 PEM', key.export({ type: 'pkcs1', format: 'pem' }).toString()]);
      shapes.push(['PKCS1 DER', key.export({ type: 'pkcs1', format: 'der' })]);
    }
    for (const [shape, secret] of shapes) {
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        add(`${alg} by the public ${name} key, ${shape}`, rawToken({ alg }, claims, secret));
        add(`${alg} by the public ${name} key, ${shape}, kid`, rawToken({ alg, kid }, claims, secret));
      }
    }
  }

  // The key fixes the algorithm.
  for (const alg of ['RS384', 'RS512', 'PS256', 'PS384', 'PS512']) {
    add(`${alg} by the RSA key`, rawToken({ alg, kid: 'rsa' }, claims, rsa.private));
    add(`${alg} by the RSA key, no kid`, rawToken({ alg }, claims, rsa.private));
  }
  for (const alg of ['HS384', 'HS512']) add(`${alg} by the secret`, rawToken({ alg }, claims, SECRET));
  for (const [alg, key, kid] of [
    ['RS256', rsa, 'ec'],
    ['ES256', ec, 'rsa'],
    ['ES256', ec, 'ed'],
    ['EdDSA', ed, 'ec'],
    ['RS256', rsa, 'ed'],
  ] as const) {
    add(`${alg} with the kid ${kid}`, rawToken({ alg, kid }, claims, key.private));
  }
  const relabel = (token: string, header: object) =>
    [segment(header), ...token.split('.').slice(1)].join('.');
  for (const alg of ['HS256', 'ES256', 'EdDSA', 'PS256', 'ES384']) {
    add(`RS256 that says ${alg}`, relabel(tokenOf(rsa, claims), { alg, kid: 'rsa' }));
  }
  add('ES384 by another key', rawToken({ alg: 'ES384' }, claims, keys.ec384.private));
  add(
    'ES384 by another key with a known kid',
    rawToken({ alg: 'ES384', kid: 'ec' }, claims, keys.ec384.private),
  );
  // CVE-2022-21449: an ECDSA signature of zeros.
  for (const kid of ['ec', undefined]) {
    const input = `${segment({ alg: 'ES256', kid })}.${segment(claims)}`;
    add(`ES256 of zeros, kid ${kid ?? 'none'}`, `${input}.${Buffer.alloc(64).toString('base64url')}`);
  }
  const der = `${segment({ alg: 'ES256', kid: 'ec' })}.${segment(claims)}`;
  add('ES256 with half a signature', `${der}.${signature('ES256', der, ec.private).slice(0, 43)}`);

  // Other secrets and keys.
  for (const [what, secret] of [
    ['another secret', 'another secret that is also long enough'],
    ['the secret and a line end', `${SECRET}\n`],
    ['the secret and CR LF', `${SECRET}\r\n`],
    ['the secret and a space', `${SECRET} `],
    ['the secret in upper case', SECRET.toUpperCase()],
    ['the secret but its last character', SECRET.slice(0, -1)],
    ['the secret in base64', Buffer.from(SECRET).toString('base64')],
    ['the secret read as base64', Buffer.from(SECRET, 'base64')],
    ['an empty secret', ''],
    ['a zero byte', '\0'],
    ['32 zero bytes', Buffer.alloc(32)],
    ['the word undefined', 'undefined'],
    ['the word null', 'null'],
    ['[object Object]', '[object Object]'],
    ['AUTH_SECRET', 'AUTH_SECRET'],
    ['random bytes', randomBytes(32)],
  ] as const) {
    add(`HS256 by ${what}`, rawToken({ alg: 'HS256' }, claims, secret));
    for (const kid of ['rsa', '', '0']) {
      add(`HS256 by ${what}, kid ${JSON.stringify(kid)}`, rawToken({ alg: 'HS256', kid }, claims, secret));
    }
  }
  for (const key of [own, keys.ownEc, keys.ownEd]) {
    for (const kid of ['own', 'rsa', 'ec', 'ed', undefined, '', null, 1]) {
      add(`${key.alg} by a key of one's own, kid ${JSON.stringify(kid)}`, tokenOf(key, claims, { kid }));
    }
    // [RFC 7515 §4.1] Keys that the token itself brings.
    for (const [what, header] of [
      ['jwk', { jwk: key.publicJwk }],
      ['jwk with a known kid', { jwk: { ...key.publicJwk, kid: 'rsa' }, kid: 'rsa' }],
      ['private jwk', { jwk: key.privateJwk }],
      ['jku', { jku: `${trap}/jku` }],
      ['jku with a known kid', { jku: `${trap}/jku`, kid: 'rsa' }],
      ['x5u', { x5u: `${trap}/x5u` }],
      ['x5c', { x5c: [keys.ownCertificate] }],
      ['x5t', { x5t: 'AAAA', 'x5t#S256': 'AAAA' }],
      ['a URL for a kid', { kid: `${trap}/kid` }],
      ['jwk, jku and x5u', { jwk: key.publicJwk, jku: `${trap}/jku`, x5u: `${trap}/x5u` }],
    ] as const) {
      add(`${key.alg} with ${what}`, tokenOf(key, claims, header));
    }
  }
  const kids = [
    ...words('../../../../dev/null /dev/null file:///dev/null ..%2f..%2fdev%2fnull $(id) RSA * é'),
    ...words('__proto__ constructor toString'),
    ...["' OR '1'='1", "x' UNION SELECT 'AAAA' -- ", '; rm -rf /', 'rsa\0', ' rsa', 'k'.repeat(5000)],
  ];
  for (const kid of [...kids, ['rsa'], { $ne: null }, null, true, 0, -1]) {
    const name = JSON.stringify(kid).slice(0, 40);
    for (const secret of ['', '\0', 'AAAA', SECRET.slice(1)]) {
      add(`HS256 by ${JSON.stringify(secret)}, kid ${name}`, rawToken({ alg: 'HS256', kid }, claims, secret));
    }
    add(`RS256 by a key of one's own, kid ${name}`, tokenOf(own, claims, { kid }));
  }

  // [RFC 7515 §4.1.11] A critical header that is not understood.
  for (const header of [
    { crit: ['x'], x: 1 },
    { crit: ['exp'], exp: 1 },
    { crit: ['alg'] },
    { crit: [] },
    { crit: 'x', x: 1 },
    { crit: null },
    { crit: ['b64'], b64: false },
    { crit: ['http://example.invalid/unknown'], 'http://example.invalid/unknown': true },
    { crit: [1] },
    { crit: ['missing'] },
  ]) {
    add(`HS256 with ${JSON.stringify(header)}`, rawToken({ alg: 'HS256', ...header }, claims, SECRET));
    add(`RS256 with ${JSON.stringify(header)}`, tokenOf(rsa, claims, header));
  }
  // [RFC 7797] A payload that is not encoded.
  const plain = JSON.stringify(claims).replaceAll('.', '\\u002e');
  for (const header of [
    { alg: 'HS256', b64: false, crit: ['b64'] },
    { alg: 'HS256', b64: false },
  ]) {
    const signed = signature('HS256', `${segment(header)}.${plain}`, SECRET);
    add(`a plain payload with ${JSON.stringify(header)}`, `${segment(header)}.${plain}.${signed}`);
    const coded = `${segment(header)}.${segment(claims)}`;
    add(`a payload signed plain with ${JSON.stringify(header)}`, `${coded}.${signed}`);
  }

  // Changed afterwards.
  for (const [what, token] of [
    ['HS256', good],
    ['RS256', tokenOf(rsa, claims)],
    ['ES256', tokenOf(ec, claims)],
    ['EdDSA', tokenOf(ed, claims)],
  ] as const) {
    const [header = '', payload = '', signed = ''] = token.split('.');
    const flip = (text: string, at: number) =>
      text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
    add(`${what}, another sub`, `${header}.${segment(claimsOf('bob', ALL))}.${signed}`);
    add(`${what}, no payload`, `${header}..${signed}`);
    add(`${what}, an empty object`, `${header}.${segment({})}.${signed}`);
    add(`${what}, one character of the payload`, `${header}.${flip(payload, 20)}.${signed}`);
    const typed = segment({ alg: what, typ: 'JWT', kid: what });
    add(`${what}, a header with typ`, `${typed}.${payload}.${signed}`);
    add(`${what}, another order of its parts`, `${payload}.${header}.${signed}`);
    for (const at of [0, 10, 30])
      add(`${what}, signature at ${at}`, `${header}.${payload}.${flip(signed, at)}`);
    add(`${what}, empty signature`, `${header}.${payload}.`);
    add(`${what}, no signature`, `${header}.${payload}`);
    add(`${what}, half a signature`, `${header}.${payload}.${signed.slice(0, signed.length / 2)}`);
    add(`${what}, signature but 4 characters`, `${header}.${payload}.${signed.slice(0, -4)}`);
    add(`${what}, signature and 4 characters`, `${header}.${payload}.${signed}AAAA`);
    add(`${what}, signature twice`, `${header}.${payload}.${signed}${signed}`);
    add(`${what}, a fourth part`, `${token}.${signed}`);
    add(`${what}, an empty fourth part`, `${token}.`);
    add(`${what}, five parts`, `${token}..`);
    add(`${what}, an empty first part`, `.${token}`);
    add(`${what}, payload alone`, payload);
    const other = what === 'HS256' ? tokenOf(rsa, claims) : good;
    add(`${what}, signature of another token`, `${header}.${payload}.${other.split('.')[2] ?? ''}`);
    add(`${what}, in quotes`, `"${token}"`);
    add(`${what}, JSON serialization`, JSON.stringify({ payload, protected: header, signature: signed }));
  }
  const texts = words('. .. ... x a.b.c null undefined {} e30.e30. e30.e30.e30 * alice');
  for (const token of ['', SECRET, ...texts, 'A'.repeat(8000)]) {
    add(`the text ${JSON.stringify(token).slice(0, 30)}`, token);
  }

  // [RFC 7519 §11.1] Encrypted to what everybody, or nobody else, has.
  const jwe = (alg: string, enc: string) =>
    new EncryptJWT(claims).setProtectedHeader({ alg, enc, kid: alg === 'dir' ? '' : 'rsa' });
  const publicKey = await importJWK({ ...rsa.publicJwk, alg: 'RSA-OAEP-256' }, 'RSA-OAEP-256');
  add('JWE to the RSA key', await jwe('RSA-OAEP-256', 'A256GCM').encrypt(publicKey));
  add('JWE with the secret', await jwe('dir', 'A256GCM').encrypt(Buffer.from(SECRET).subarray(0, 32)));
  add('JWE with PBES2', await jwe('PBES2-HS256+A128KW', 'A128GCM').encrypt(Buffer.from(SECRET)));
  return forgeries;
}
