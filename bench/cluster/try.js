// `npm run cluster:try`: starts three NATS servers and three nodes on this machine, to try and throw away.
import { once } from 'node:events';
import { join } from 'node:path';
import { makeFolder } from '../processes.js';
import { initCluster, startNode } from './nodes.js';
import { NatsServers } from './nats.js';

const NAMES = ['node-1', 'node-2', 'node-3'];

try {
  await run();
} catch (error) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  const why =
    code === 'ENOENT'
      ? 'nats-server is not installed: put it into PATH (Debian: apt install nats-server, 2.10 or later)'
      : message;
  process.stderr.write(`cluster:try: ${why}.\n`);
  process.exit(1);
}

async function run() {
  const folder = makeFolder();
  const servers = await NatsServers.start(folder);
  const env = { NATS_URL: servers.url, NATS_MONITOR_URL: servers.monitorUrl };
  servers.pids.forEach((pid, index) => {
    const [url, monitor] = [servers.url, servers.monitorUrl].map((urls) => urls.split(',')[index]);
    process.stdout.write(`nats-${index + 1}  ${url}  process ${pid}  monitoring port ${monitor}\n`);
  });
  await initCluster(env);
  for (const name of NAMES) {
    const database = join(folder, `${name}.sqlite`);
    const node = await startNode(
      database,
      { ...env, NODE_NAME: name },
      { args: ['--heartbeat-seconds', '15'] },
    );
    process.stdout.write(`${name}  http://127.0.0.1:${node.port}  process ${node.pid}\n`);
  }
  process.stdout.write(`Try it: listen at one node, publish at another, and kill any of them.
  curl -N 'http://127.0.0.1:PORT/stream?recipient=bob'
  curl -d recipient=bob -d content=hi http://127.0.0.1:PORT/messages
  kill -9 PROCESS
For the cluster commands:
  export NATS_URL=${env.NATS_URL}
  export NATS_MONITOR_URL=${env.NATS_MONITOR_URL}
Everything is in ${folder}, and is removed when you press Ctrl-C.
`);
  await once(process, 'exit');
}
