/** A method that a path may have. `HEAD` comes with `GET`, unless the path opens a WebSocket. */
export type Method = 'get' | 'post' | 'put' | 'delete';

/**
 * Every path of the service with its methods, except the files of the pages. This is the only list: the router, `Allow`, the
 * suggestions of a 404 and the description of the API are made from it, and the compiler rejects any of them that lacks a
 * path or a method.
 */
export const PATHS = {
  '/messages': ['get', 'post'],
  '/messages/{id}': ['get'],
  '/stream': ['get'],
  '/ws': ['get'],
  '/conversations': ['get'],
  '/presence': ['get'],
  '/push-key': ['get'],
  '/push-subscriptions': ['get', 'post', 'delete'],
  '/session': ['get', 'put', 'delete'],
  '/healthz': ['get'],
  '/readyz': ['get'],
  '/metrics': ['get'],
  '/openapi.json': ['get'],
  '/cluster': ['get'],
} as const satisfies Readonly<Record<string, readonly Method[]>>;

export type Path = keyof typeof PATHS;

/** The methods of a path. */
export type MethodsOf<P extends Path> = (typeof PATHS)[P][number];

/** The paths that only a node of a cluster has. */
const OF_CLUSTER: ReadonlySet<string> = new Set<Path>(['/cluster']);

/** The paths that report the state of a node. They are served even while it is cut off from the others. */
const ABOUT_NODE: ReadonlySet<string> = new Set<Path>([
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/cluster',
]);

/** The paths that have no `HEAD`: a WebSocket is opened there. */
const WITHOUT_HEAD: ReadonlySet<string> = new Set<Path>(['/ws']);

/** Returns the paths of a service. */
export function pathsOf(isCluster: boolean): Path[] {
  return (Object.keys(PATHS) as Path[]).filter((path) => isCluster || !OF_CLUSTER.has(path));
}

/** Returns the first name in a path. */
export function firstName(path: string): string {
  return path.split('/', 2)[1] ?? '';
}

/** The first name in each path that a node refuses while it is cut off from the others. */
export const NAMES_REFUSED: ReadonlySet<string> = new Set(
  Object.keys(PATHS)
    .filter((path) => !ABOUT_NODE.has(path))
    .map(firstName),
);

/** Returns the methods of a path, as the header `Allow` has them. */
export function allowAt(path: Path): string {
  const methods = PATHS[path].map((method) => method.toUpperCase());
  return methods
    .flatMap((method) => (method === 'GET' && !WITHOUT_HEAD.has(path) ? ['GET', 'HEAD'] : [method]))
    .join(', ');
}
