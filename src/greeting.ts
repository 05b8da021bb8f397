import type { Config } from './config/config.ts';

/**
 * Returns the lines that tell a person where the service listens and how to try it. They go to the standard output, not
 * to the log.
 *
 * @param origin the URL at which it listens, without a slash at its end
 * @param tokenCommand the command that makes a token, up to its flags
 */
export function greeting(origin: string, config: Config, tokenCommand: string): string {
  const { retentionDays: days, retentionMessages: messages } = config;
  const kept = [
    ...(days > 0 ? [`for ${days} days`] : []),
    ...(messages > 0 ? [`the newest ${messages} of each recipient`] : []),
  ];
  const keeps =
    config.nats === undefined
      ? `Messages are kept ${kept.length === 0 ? 'forever' : kept.join(', ')},`
      : 'This node keeps the log of its cluster';
  const open = config.auth === undefined;
  const [setToken, bearer] = open
    ? ['', '']
    : [`  TOKEN=$(${tokenCommand} --sub bob --send-to bob)\n`, ` -H "Authorization: Bearer $TOKEN"`];
  return (
    `Tidings listens on ${origin} (${open ? 'without tokens, for this machine only' : 'tokens are required'}). ` +
    `${keeps} in ${config.database}. Try it:\n` +
    setToken +
    `  curl -N${bearer} '${origin}/stream?recipient=bob'\n` +
    `  curl${bearer} -d recipient=bob -d content=hi ${origin}/messages\n`
  );
}
