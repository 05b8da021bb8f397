import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Labels and their value. */
export type Labelled = readonly [labels: Readonly<Record<string, string>>, value: number];

/**
 * A factory of metrics. Counters and gauges read their value at a scrape, from numbers that the service keeps anyway,
 * so they cost nothing between scrapes. Histograms observe each value.
 */
export class Instruments {
  readonly registry = new Registry();

  /** Adds a counter. */
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

  /** Adds a counter with labels. */
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

  /** Adds a gauge. */
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

  /** Adds a gauge with labels. */
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

  /**
   * Adds a histogram.
   *
   * @param buckets upper bounds, in the unit of the name
   * @returns observes a value
   */
  histogram(name: string, help: string, buckets: readonly number[]): (value: number) => void {
    const histogram = new Histogram({ name, help, buckets: [...buckets], registers: [this.registry] });
    return (value) => histogram.observe(value);
  }
}
