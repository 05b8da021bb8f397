/** The samples of a page as TypeScript, each with the type that the description of the service has for it. */
import { consoleSteps } from './console.ts';

const HEAD = `import type { components, paths } from './tidings.d.ts';

type Schemas = components['schemas'];
type JsonOf<R> = { [S in keyof R]: R[S] extends { content: infer C } ? C[keyof C] : never }[keyof R];
type AnswerOf<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends { responses: infer R } ? JsonOf<R> : never;
type BodyOf<P extends keyof paths, M extends keyof paths[P]> = paths[P][M] extends {
  requestBody: { content: { 'application/json': infer B } };
}
  ? B
  : never;
type Said = Schemas['Message' | 'EphemeralMessage' | 'Ready' | 'Live' | 'Heartbeat' | 'PresenceChange' | 'Bye'];

// If the types took anything, these lines would be errors.
// @ts-expect-error -- the recipient is missing
export const without: Schemas['Draft'] = { content: 'hi' };
// @ts-expect-error -- there is no such field
export const more: Schemas['Draft'] = { recipient: 'bob', content: 'hi', subject: 'hi' };
// @ts-expect-error -- other fields are missing
export const answer: AnswerOf<'/messages/{id}', 'get'> = { id: 1, sender: 'bob' };
`;

/** Returns a module with a constant for each request body, answer and event of a page's commands. */
export function typedSamples(markdown: string): { text: string; count: number } {
  const lines = consoleSteps(markdown).flatMap(({ command, output }) => {
    const [, target] = /http:\/\/127\.0\.0\.1:7070(\/[^\s'?]*)/.exec(command) ?? [];
    const printed = output.split('\n');
    if (command.includes('new WebSocket(')) return samples("Schemas['SocketEvent']", printed);
    if (target === undefined || !command.startsWith('curl')) return [];
    if (command.includes(' -N '))
      return samples(
        'Said',
        printed.map((line) => line.replace(/^data: /, '')),
      );
    const [, body] = / -d '([[{].*?)' /.exec(`${command} `) ?? [];
    const method = / -X (\w+)/.exec(command)?.[1] ?? (command.includes(' -d ') ? 'post' : 'get');
    const operation = `'${target.replace(/^\/messages\/\d+$/, '/messages/{id}')}', '${method.toLowerCase()}'`;
    return [
      ...samples(`BodyOf<${operation}>`, body === undefined ? [] : [body]),
      ...samples(`AnswerOf<${operation}>`, printed),
    ];
  });
  const constants = lines.map((line, index) => `export const sample${index}: ${line};`);
  return { text: `${HEAD}\n${constants.join('\n')}\n`, count: constants.length };
}

/** Returns `type = value` for each line that is JSON. */
function samples(type: string, lines: readonly string[]): string[] {
  return lines.filter((line) => /^[[{]/.test(line)).map((line) => `${type} = ${line}`);
}
