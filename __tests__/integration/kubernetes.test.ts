import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import type { Container, EnvVar } from 'kubernetes-types/core/v1.d.ts';
import { readConfig } from '../../src/config/config.ts';
import { variableName } from '../../src/config/variable.ts';
import { allVariables } from '../../src/config/variables.ts';
import { faultsOf, ofKind, podsOf, readManifests, selectedBy } from '../support/manifests.ts';
import { natsTest } from '../support/nats.ts';
import { cleanUp, newFolder } from '../support/server.ts';
import { SECRET } from '../support/tokens.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const MANIFESTS = readManifests();
const PODS = podsOf(MANIFESTS);

/** The container of a controller, which has one. */
function containerOf(name: string): Container {
  const [container, ...others] = PODS.find((pod) => pod.name === name)?.spec.containers ?? [];
  if (container === undefined || others.length > 0) throw new Error(`${name} has not one container`);
  return container;
}

/** Returns a container's variables as its program sees them, in a pod of this name. */
function environmentOf({ env = [] }: Container, pod: string): Record<string, string> {
  const values: Record<string, string> = {};
  const valueOf = ({ value, valueFrom }: EnvVar): string => {
    if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') return pod;
    const key = valueFrom?.secretKeyRef?.key;
    if (key !== undefined) return key === 'auth-secret' ? SECRET : `of-${key}`;
    return (value ?? '').replaceAll(/\$\((\w+)\)/g, (_all, name: string) => values[name] ?? 'undefined');
  };
  for (const variable of env) values[variable.name] = valueOf(variable);
  return values;
}

afterAll(cleanUp);

describe('the manifests of Kubernetes', () => {
  test('the manifests have no field that Kubernetes does not know', () => {
    expect(faultsOf(MANIFESTS)).toEqual([]);
  });

  test('the check of manifests refuses an unknown field, and a text in place of a number', () => {
    const faulty = [{ replica: 3 }, { replicas: '3' }].flatMap((change) => {
      const manifests = structuredClone(MANIFESTS).filter(({ kind }) => kind === 'Deployment');
      for (const { spec } of ofKind(manifests, 'Deployment')) Object.assign(spec ?? {}, change);
      return manifests;
    });
    expect(faultsOf(faulty)).toEqual([
      expect.stringContaining(`'"replica"' does not exist in type 'DeploymentSpec'`),
      expect.stringContaining("Type 'string' is not assignable to type 'number'"),
    ]);
  });

  test('the manifests send requests only to nodes, and let only nodes and NATS servers reach NATS', () => {
    const services = ofKind(MANIFESTS, 'Service').map(({ metadata, spec }) => [
      metadata?.name,
      selectedBy(PODS, { matchLabels: spec?.selector ?? {} }),
    ]);
    expect(services).toEqual(
      expect.arrayContaining([
        ['tidings', ['tidings']],
        ['tidings-nats', ['tidings-nats']],
        ['tidings-nats-servers', ['tidings-nats']],
      ]),
    );
    const [policy] = ofKind(MANIFESTS, 'NetworkPolicy');
    expect(selectedBy(PODS, policy?.spec?.podSelector ?? {})).toEqual(['tidings-nats']);
    const allowed = (policy?.spec?.ingress ?? []).map(({ from = [], ports = [] }) => [
      from.flatMap(({ podSelector }) => selectedBy(PODS, podSelector ?? {})),
      ports.map(({ port }) => port),
    ]);
    expect(allowed).toEqual([
      [
        ['tidings', 'tidings-init'],
        ['client', 'monitor'],
      ],
      [['tidings-nats'], ['routes']],
    ]);
  });

  test('the manifests name only ports, volumes and configurations that exist', () => {
    for (const { spec } of ofKind(MANIFESTS, 'Service')) {
      const [name = ''] = selectedBy(PODS, { matchLabels: spec?.selector ?? {} });
      const ports = (containerOf(name).ports ?? []).map((port) => port.name);
      for (const { targetPort } of spec?.ports ?? []) expect(ports).toContain(targetPort);
    }
    for (const { name, spec, claims } of PODS) {
      const { ports = [], volumeMounts = [], ...probes } = containerOf(name);
      for (const probe of [probes.startupProbe, probes.readinessProbe, probes.livenessProbe]) {
        if (probe !== undefined) expect(ports.map((port) => port.name)).toContain(probe.httpGet?.port);
      }
      const volumes = [...(spec.volumes ?? []).map((volume) => volume.name), ...claims];
      expect(volumeMounts.map((mount) => mount.name).toSorted()).toEqual(volumes.toSorted());
      for (const { configMap } of spec.volumes ?? []) {
        if (configMap === undefined) continue;
        expect(ofKind(MANIFESTS, 'ConfigMap').map(({ metadata }) => metadata?.name)).toContain(
          configMap.name,
        );
      }
    }
  });

  test('the manifests give each container a read-only file system, no rights, and a bound on its memory', () => {
    for (const { name, spec } of PODS) {
      const { resources, securityContext } = containerOf(name);
      expect([name, spec.securityContext?.runAsNonRoot]).toEqual([name, true]);
      expect([name, spec.automountServiceAccountToken, spec.enableServiceLinks]).toEqual([
        name,
        false,
        false,
      ]);
      expect([name, securityContext]).toEqual([
        name,
        {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      ]);
      expect([name, resources?.limits?.['memory']]).toEqual([name, expect.stringMatching(/^\d+[MG]i$/)]);
    }
  });

  test('the manifests give nodes no volumes of their own, and only variables that the service knows', () => {
    const known = new Set(allVariables().map(([key]) => variableName(key)));
    for (const name of ['tidings', 'tidings-init']) {
      const environment = environmentOf(containerOf(name), `${name}-abc`);
      expect(Object.keys(environment).filter((variable) => !known.has(variable))).toEqual([]);
      const { nats, auth } = readConfig(environment, [], 1_000_000);
      expect([name, nats?.signIn?.variable]).toEqual([name, 'NATS_USER']);
      if (name === 'tidings') expect([nats?.nodeName, auth === undefined]).toEqual(['tidings-abc', false]);
    }
    const volumes = PODS.flatMap(({ name, spec }) => (name === 'tidings' ? (spec.volumes ?? []) : []));
    expect(volumes).toEqual([{ name: 'data', emptyDir: {} }]);
  });

  natsTest('the manifests run NATS with the configuration of deploy/nats and its variables', () => {
    const [map] = ofKind(MANIFESTS, 'ConfigMap');
    const text = map?.data?.['nats.conf'] ?? '';
    expect(text).toBe(readFileSync(join(DEPLOY, 'nats/nats.conf'), 'utf8'));
    const folder = newFolder();
    const file = join(folder, 'nats.conf');
    writeFileSync(file, text);
    const container = containerOf('tidings-nats');
    const [program = '', ...args] = (container.command ?? []).map((arg) =>
      arg.replace('/etc/nats/nats.conf', file).replace('/run/nats', folder),
    );
    const environment = environmentOf(container, 'tidings-nats-0');
    const env = { PATH: process.env['PATH'], ...environment, NATS_STORE: folder };
    expect(spawnSync(program, [...args, '-t'], { env, encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('is valid'),
    });
    const { replicas, serviceName } = ofKind(MANIFESTS, 'StatefulSet')[0]?.spec ?? {};
    const hosts = [0, 1, 2].map((index) => `tidings-nats-${index}.${serviceName ?? ''}`);
    expect(replicas).toBe(hosts.length);
    const inRoutes = [...(environment['NATS_ROUTES'] ?? '').matchAll(/@([^:]+):6222/g)].map(
      ([, host]) => host,
    );
    expect(inRoutes).toEqual(hosts);
    const { NATS_URL = '', NATS_MONITOR_URL = '' } = environmentOf(containerOf('tidings'), 'tidings-abc');
    expect(NATS_URL.split(',')).toEqual(hosts.map((host) => `nats://${host}:4222`));
    expect(NATS_MONITOR_URL.split(',')).toEqual(hosts.map((host) => `http://${host}:8222`));
  });
});
