import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Labels, and the value that they have. */
export type Labelled = readonly [labels: Readonly<Record<string, string>>, value: number];

/**
 * Makes metrics that read their value at the moment of a scrape, from what the service counts for itself: between
 * scrapes they cost nothing. The exception are histograms, which are told of each value.
 */
export class Instruments {
  readonly registry = new Registry();

  /** A number that only grows. */
  counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** Numbers that only grow, told apart by labels. */
  counters(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Labelled>): void {
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  }

  /** A number that goes up and down. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      async collect() {
        this.set(await read());
      },
    });
  }

  /** Numbers that go up and down, told apart by a label. */
  gauges(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => Iterable<Labelled> | Promise<Iterable<Labelled>>,
  ): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      async collect() {
        this.reset();
        for (const [labels, value] of await read()) this.set(labels, value);
      },
    });
  }

  /** How values are spread. @param buckets upper bounds, in the unit of the name */
  histogram(name: string, help: string, buckets: readonly number[]): (value: number) => void {
    const histogram = new Histogram({ name, help, buckets: [...buckets], registers: [this.registry] });
    return (value) => histogram.observe(value);
  }
}
