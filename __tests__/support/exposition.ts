/** Reads `/metrics` by the rules of Prometheus' text format, version 0.0.4. Anything else is an error. */

/** One line: a value with its labels. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric: its lines stand together under its `# HELP` and `# TYPE`. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const VALUE = /^[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf|NaN)$/;

/** All metrics of one scrape. */
export class Exposition {
  readonly families: ReadonlyMap<string, Family>;

  /** @throws {Error} that shows the line which breaks a rule */
  constructor(text: string) {
    if (!text.endsWith('\n')) throw new Error('the last line does not end');
    const families = new Map<string, Family>();
    let family: Family | undefined;
    let help: { name: string; text: string } | undefined;
    for (const line of text.slice(0, -1).split('\n')) {
      if (line === '') continue;
      const [, kind, about = '', rest = ''] = new RegExp(`^# (HELP|TYPE) (${NAME}) (.*)$`).exec(line) ?? [];
      if (kind === 'HELP') {
        help = { name: about, text: rest };
      } else if (kind === 'TYPE') {
        if (help?.name !== about || families.has(about)) throw new Error(`out of order: ${line}`);
        if (!/^(counter|gauge|histogram|summary)$/.test(rest)) throw new Error(`no type: ${line}`);
        family = { name: about, help: help.text, type: rest, samples: [] };
        families.set(about, family);
      } else {
        const sample = readSample(line);
        if (family === undefined || !belongs(sample.name, family)) throw new Error(`out of place: ${line}`);
        if (family.samples.some((one) => isSame(one, sample))) throw new Error(`twice: ${line}`);
        family.samples.push(sample);
      }
    }
    this.families = families;
  }

  /** The value of the line with a name and exactly these labels. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    for (const { samples } of this.families.values()) {
      const sample = samples.find((one) => isSame(one, { name, labels, value: 0 }));
      if (sample !== undefined) return sample.value;
    }
    throw new Error(`there is no ${name} ${JSON.stringify(labels)}`);
  }

  /** The values of a metric by one of its labels; where that is not enough to tell them apart, their sum. */
  by(name: string, label: string): Record<string, number> {
    const values: Record<string, number> = {};
    for (const { labels, value } of this.families.get(name)?.samples ?? []) {
      const key = labels[label] ?? '';
      values[key] = (values[key] ?? 0) + value;
    }
    return values;
  }
}

/** Scrapes a service. */
export async function scrape(origin: string, headers: Record<string, string> = {}): Promise<Exposition> {
  const response = await fetch(`${origin}/metrics`, { headers });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return new Exposition(await response.text());
}

function readSample(line: string): Sample {
  const [, name = '', labelText = '', number = ''] = SAMPLE.exec(line) ?? [];
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, label, value = ''] = LABEL.exec(labelText) ?? [];
    if (label === undefined || label in labels) throw new Error(`not labels: ${line}`);
    labels[label] = value;
  }
  // prom-client writes "Nan", which Prometheus reads as NaN.
  const written = number === 'Nan' ? 'NaN' : number;
  if (name === '' || !VALUE.test(written)) throw new Error(`not a sample: ${line}`);
  return { name, labels, value: Number(written.replace('Inf', 'Infinity')) };
}

function belongs(name: string, { name: family, type }: Family): boolean {
  if (type === 'histogram') return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name);
  return name === family;
}

function isSame(one: Sample, other: Sample): boolean {
  const key = ({ name, labels }: Sample): string => JSON.stringify([name, Object.entries(labels).sort()]);
  return key(one) === key(other);
}
