import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, start } from '../processes.js';
import { freePort, listening, Server } from '../server.js';
import { get, KEPT, post } from './peer.js';

// The places on Debian, which are not in every user's path.
const NGINX = '/usr/sbin/nginx';
const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so';

/** Nchan, an nginx module: in memory, without a disk. @type {import('./peer.js').Peer} */
export const nchan = {
  name: 'Nchan (memory)',
  durability: 'in memory that the workers of nginx share; nothing is written to the disk',
  syncs: false,
  missing: () => {
    return existsSync(MODULE) && existsSync(NGINX) ? undefined : 'apt-get install nginx libnginx-mod-nchan';
  },
  version: () => debianVersion('libnginx-mod-nchan'),
  start: async (kept = KEPT) => {
    const folder = makeFolder();
    const port = await freePort();
    mkdirSync(join(folder, 'logs'));
    writeFileSync(join(folder, 'nginx.conf'), configuration(port, kept));
    const child = start(NGINX, ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr']);
    await listening(child, port);
    return new Server(child, port, folder);
  },
  publish: (port, recipient, [content = '']) => post(port, `/publish/${recipient}`, content, 'text/plain'),
  stream: (port, [recipient = '']) => get(port, `/stream/${recipient}`),
  all: (port, recipient) => get(port, `/all/${recipient}`),
  live: ': hi\n',
  chunked: false,
  inOrder: true,
};

/** @returns {string | undefined} the version of nginx, if there is one */
export function nginxVersion() {
  // nginx prints its version on the error output.
  return /nginx\/(\S+)/.exec(String(spawnSync(NGINX, ['-v']).stderr))?.[1];
}

/** @param {string} name of a package */
function debianVersion(name) {
  try {
    const args = ['-W', '-f', '${Version}', name];
    return execFileSync('dpkg-query', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

/**
 * Returns a configuration with one worker, as the service has one thread for its sockets. Nothing is written to disk:
 * bodies stay in memory, and there is no access log. The memory for all channels is more than a run needs.
 *
 * @param {number} port
 * @param {number} kept messages that a channel keeps
 */
function configuration(port, kept) {
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `load_module ${MODULE};
daemon off;
${user}
pid nginx.pid;
error_log stderr error;
worker_processes 1;
events { worker_connections 20000; use epoll; multi_accept on; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
  client_body_buffer_size 64k;
  ${folders.map((name) => `${name}_temp_path ${name};`).join(' ')}
  nchan_shared_memory_size 2g;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location ~ ^/publish/(.+)$ {
      nchan_publisher http;
      nchan_channel_id $1;
      nchan_message_buffer_length ${kept};
      nchan_message_timeout 1h;
    }
    location ~ ^/stream/(.+)$ {
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval 0;
    }
    location ~ ^/all/(.+)$ {
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message oldest;
      nchan_eventsource_ping_interval 0;
    }
  }
}
`;
}
