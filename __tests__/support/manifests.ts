/** The manifests of `deploy/kubernetes`, and what Kubernetes would say of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployment, StatefulSet } from 'kubernetes-types/apps/v1.d.ts';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { ConfigMap, PodSpec, Service } from 'kubernetes-types/core/v1.d.ts';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts';
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.d.ts';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'deploy/kubernetes');

/** The kinds that are used, and the module of their types. */
interface Kinds {
  ConfigMap: ConfigMap;
  Deployment: Deployment;
  Job: Job;
  NetworkPolicy: NetworkPolicy;
  PodDisruptionBudget: PodDisruptionBudget;
  Service: Service;
  StatefulSet: StatefulSet;
}
const MODULES: Readonly<Record<keyof Kinds, string>> = {
  ConfigMap: 'core/v1',
  Deployment: 'apps/v1',
  Job: 'batch/v1',
  NetworkPolicy: 'networking/v1',
  PodDisruptionBudget: 'policy/v1',
  Service: 'core/v1',
  StatefulSet: 'apps/v1',
};

/** A resource of any kind. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** Returns all resources. */
export function readManifests(): Manifest[] {
  return readdirSync(FOLDER).flatMap((file) => {
    const documents = parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8'), { strict: true });
    return documents.map((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      return document.toJS() as Manifest;
    });
  });
}

/** Returns the resources of one kind. */
export function ofKind<Kind extends keyof Kinds>(manifests: readonly Manifest[], kind: Kind): Kinds[Kind][] {
  return manifests.filter((manifest) => manifest.kind === kind) as Kinds[Kind][];
}

/** Returns what the types of Kubernetes find wrong, such as a field that does not exist or a text for a number. */
export function faultsOf(manifests: readonly Manifest[]): string[] {
  const lines = manifests.map((manifest, index) => {
    const { kind } = manifest;
    const path = MODULES[kind as keyof Kinds] as string | undefined;
    if (path === undefined) throw new Error(`a kind that is not known here: ${kind}`);
    const type = `import('kubernetes-types/${path}').${kind}`;
    return `export const manifest${index}: ${type} = ${JSON.stringify(manifest, undefined, 1)};\n`;
  });
  return compile(lines.join(''));
}

/** Returns what the compiler says of a text, as of a file of this project. */
function compile(text: string): string[] {
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
  };
  const file = join(ROOT, 'manifests.ts');
  const host = ts.createCompilerHost(options);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (name, version, ...rest) =>
    name === file ? ts.createSourceFile(name, text, version) : getSourceFile(name, version, ...rest);
  const program = ts.createProgram([file], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** The pods that one controller makes. */
export interface Pods {
  /** Of the controller. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
  /** The names of the volumes that are claimed for each. */
  readonly claims: readonly string[];
}

/** Returns the pods of all controllers. */
export function podsOf(manifests: readonly Manifest[]): Pods[] {
  const controllers = [
    ...ofKind(manifests, 'Deployment'),
    ...ofKind(manifests, 'StatefulSet'),
    ...ofKind(manifests, 'Job'),
  ];
  return controllers.map(({ metadata, spec }) => {
    const templates = spec !== undefined && 'volumeClaimTemplates' in spec ? spec.volumeClaimTemplates : [];
    return {
      name: metadata?.name ?? '',
      labels: spec?.template.metadata?.labels ?? {},
      spec: spec?.template.spec ?? { containers: [] },
      claims: templates.map((claim) => claim.metadata?.name ?? ''),
    };
  });
}

/** The labels that pods must have, as policies and controllers say it. */
export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { readonly key: string; readonly values?: readonly string[] }[];
}

/** Returns the names of those pods that have the labels. Of expressions it knows `In`. */
export function selectedBy(
  pods: readonly Pods[],
  { matchLabels = {}, matchExpressions = [] }: Selector,
): string[] {
  const selected = pods.filter(
    ({ labels }) =>
      Object.entries(matchLabels).every(([name, value]) => labels[name] === value) &&
      matchExpressions.every(({ key, values = [] }) => values.includes(labels[key] ?? '')),
  );
  return selected.map(({ name }) => name);
}
