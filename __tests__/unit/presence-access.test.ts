import { expect, test } from '@jest/globals';

/** The tested object, typed without the types of pages. */
interface Access {
  readonly watched: readonly string[];
  turnTo(addresses: readonly string[]): Promise<boolean>;
  forget(): void;
}
const folder = '../../public/chat';
const { PresenceAccess } = (await import(`${folder}/presence-access.js`)) as {
  PresenceAccess: new (api: unknown, isOpen: boolean, onRetry: () => void) => Access;
};

test.each([
  ['without a key', true, []],
  ['with a key', false, [['alice', 'bob']]],
])(
  'a service %s is asked at most once about the same addresses, and the watched ones stay',
  async (_, isOpen, asked) => {
    const questions: (readonly string[])[] = [];
    const presence = (addresses: readonly string[]): Promise<void> => {
      questions.push(addresses);
      return Promise.resolve();
    };
    const access = new PresenceAccess({ presence }, isOpen, () => undefined);
    expect(await access.turnTo(['alice', 'bob'])).toBe(true);
    expect(await access.turnTo(['bob', 'alice'])).toBe(false);
    expect(access.watched).toEqual(['alice', 'bob']);
    expect(questions).toEqual(asked);
    access.forget();
    expect(await access.turnTo(['bob', 'alice'])).toBe(true);
    expect(access.watched).toEqual(['bob', 'alice']);
  },
);
