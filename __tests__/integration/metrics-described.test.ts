/** Compares the page, the dashboard and the alerts about the metrics with those that a real server exports. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { measureCluster } from '../../src/metrics/cluster.ts';
import { Instruments } from '../../src/metrics/instruments.ts';
import { Exposition, type Family, type Sample, scrape } from '../support/exposition.ts';
import { cleanUp, Server } from '../support/server.ts';
import { until } from '../support/until.ts';

const read = (path: string): string => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');

/** All texts under a key, anywhere in a value. */
function textsOf(key: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === key && typeof inner === 'string' ? [inner] : textsOf(key, inner),
  );
}

/** The metrics that an expression of PromQL names, each with its exact matches of labels other than job and instance. */
function metricsIn(expression: string): Omit<Sample, 'value'>[] {
  return [...expression.matchAll(/\b((?:tidings|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', selector = '']) => ({
      name,
      labels: Object.fromEntries(
        [...selector.matchAll(/(\w+)="([^"]*)"/g)]
          .map(([, label = '', value = '']) => [label, value] as const)
          .filter(([label]) => label !== 'job' && label !== 'instance'),
      ),
    }),
  );
}

/** The metrics that a node of a cluster has besides: they need no cluster to be described. */
async function clusterFamilies(): Promise<ReadonlyMap<string, Family>> {
  const instruments = new Instruments();
  measureCluster(instruments, {
    others: 2,
    hears: true,
    mismatches: 0,
    entries: { applied: 1, nothing: 0, retried: 0 },
    bus: { sent: 1, received: 1, malformed: 0, foreign: 0, ignored: 0 },
    lag: () => Promise.resolve(0),
  });
  return new Exposition(await instruments.registry.metrics()).families;
}

describe('the metrics of a server', () => {
  let metrics: Pick<Exposition, 'families'>;
  let samples: readonly Sample[];
  beforeAll(async () => {
    const server = await Server.start();
    // Node exports garbage collections from the first one on.
    await until(async () => {
      metrics = await scrape(server.url);
      return (metrics.families.get('nodejs_gc_duration_seconds')?.samples.length ?? 0) > 0;
    });
    metrics = { families: new Map([...metrics.families, ...(await clusterFamilies())]) };
    samples = [...metrics.families.values()].flatMap((family) => family.samples);
  });
  afterAll(cleanUp);

  test('metrics follow the naming rules: counters alone end in _total, and names have base units', () => {
    const own = [...metrics.families.values()].filter(({ name }) => name.startsWith('tidings_'));
    expect(own.length).toBeGreaterThan(20);
    for (const { name, type, help } of own) {
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
      expect(name).not.toMatch(/_(milliseconds|ms|minutes|kilobytes|kb|mb|percent)(_|$)/);
      if (type === 'histogram') expect(name).toMatch(/_(seconds|messages)$/);
      expect(help).toMatch(/^[A-Z].{15,}\.$/);
    }
    for (const { name, samples: lines } of metrics.families.values()) {
      expect([name, lines.length > 0]).toEqual([name, true]);
    }
  });

  test('the tables of docs/operations.md describe each metric that is exported, and no other', () => {
    const described = [...read('docs/operations.md').matchAll(/^\| `([a-z]\w*_\w+)` +\|(.*)\|(.*)\|$/gm)];
    expect(described.map(([, name]) => name).sort()).toEqual([...metrics.families.keys()].sort());
    for (const [, name, what = '', bad = ''] of described) {
      expect([name, what.trim() !== '', bad.trim() !== '']).toEqual([name, true, true]);
    }
  });

  test.each([
    ['deploy/grafana/tidings.json', 30],
    ['deploy/prometheus/alerts.yml', 18],
  ])('the metrics that %s queries are exported', (path, least) => {
    // JSON is YAML as well.
    const content: unknown = parse(read(path));
    const expressions = [...textsOf('expr', content), ...textsOf('definition', content)];
    expect(expressions.length).toBeGreaterThanOrEqual(least);
    for (const expression of expressions) {
      const asked = metricsIn(expression);
      expect([expression, asked.length > 0 || expression.startsWith('up{')]).toEqual([expression, true]);
      for (const { name, labels } of asked) {
        const found = samples.some(
          (sample) =>
            sample.name === name &&
            Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
        );
        expect([expression, name, labels, found]).toEqual([expression, name, labels, true]);
      }
    }
  });

  test('the dashboard shows all metrics of the service itself', () => {
    const shown = new Set(
      textsOf('expr', JSON.parse(read('deploy/grafana/tidings.json'))).flatMap((expression) =>
        metricsIn(expression).map(({ name }) => name.replace(/_(bucket|sum|count)$/, '')),
      ),
    );
    const own = [...metrics.families.keys()].filter((name) => name.startsWith('tidings_'));
    expect(own.filter((name) => !shown.has(name))).toEqual([]);
  });
});

test('the dashboard can be imported: it has a data source to choose, rows, and panels that do not overlap', () => {
  interface Panel {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  }
  const { panels, templating } = JSON.parse(read('deploy/grafana/tidings.json')) as {
    panels: Panel[];
    templating: { list: { name: string; type: string }[] };
  };
  expect(templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
  expect(panels.filter(({ type }) => type === 'row').map(({ title }) => title)).toEqual([
    'Traffic',
    'Latency and commits',
    'Connections',
    'Notifications',
    'Log',
    'Cluster',
    'Process',
  ]);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)} ${y + Math.floor(cell / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
});

test('each alert says how bad it is, what happened and what to do, and its rule has a test', () => {
  interface Rule {
    readonly alert: string;
    readonly labels: { readonly severity: string };
    readonly annotations: { readonly summary: string; readonly description: string };
  }
  const { groups } = parse(read('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] };
  const rules = groups.flatMap((group) => group.rules);
  for (const { labels, annotations } of rules) {
    expect(['critical', 'warning']).toContain(labels.severity);
    expect(annotations.summary).toContain('{{ $labels.instance }}');
    expect(annotations.description).toMatch(/\.$/);
  }
  const { tests } = parse(read('deploy/prometheus/alerts.test.yml')) as { tests: { name: string }[] };
  expect(tests.map(({ name }) => name)).toEqual(rules.map(({ alert }) => alert));
});
