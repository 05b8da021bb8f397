/** Machines of one network, each with an address of its own, which can be cut off from each other (Linux, as root). */
import { execFileSync, spawnSync } from 'node:child_process';
import { undoAtEnd } from './server.ts';

function run(command: string): void {
  const [program = '', ...args] = command.split(' ');
  execFileSync(program, args);
}

/** Network namespaces on a bridge, to which this process is connected, too. They end with the suite. */
export class Machines {
  readonly #name = `td${process.pid}`;
  /** Its third byte is of this process, so that suites which run at the same time do not meet. */
  readonly #net = `10.213.${process.pid % 256}`;

  /** @param count how many, at most 200 */
  constructor(count: number) {
    const bridge = this.#name;
    undoAtEnd(() => this.#end(count));
    run(`ip link add ${bridge} type bridge`);
    run(`ip addr add ${this.#net}.1/24 dev ${bridge}`);
    run(`ip link set ${bridge} up`);
    for (let index = 0; index < count; index++) {
      const [space, cable] = [this.#spaceOf(index), this.#cableOf(index)];
      run(`ip netns add ${space}`);
      run(`ip link add ${cable} type veth peer name eth0 netns ${space}`);
      run(`ip link set ${cable} master ${bridge} up`);
      run(`ip -n ${space} addr add ${this.addressOf(index)}/24 dev eth0`);
      run(`ip -n ${space} link set eth0 up`);
      run(`ip -n ${space} link set lo up`);
    }
  }

  /** Returns the IP address of a machine, by its index from 0. */
  addressOf(index: number): string {
    return `${this.#net}.${index + 10}`;
  }

  /** Returns the command that becomes another one on a machine. */
  wrapperOf(index: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.#spaceOf(index)];
  }

  /** From now on a machine gets no packets from others, also not from this process, and they get none from it. */
  cutOff(index: number): void {
    run(`ip -n ${this.#spaceOf(index)} link set eth0 down`);
  }

  /** Connects a machine again that was cut off. */
  reconnect(index: number): void {
    run(`ip -n ${this.#spaceOf(index)} link set eth0 up`);
  }

  #cableOf(index: number): string {
    return `${this.#name}v${index}`;
  }

  #spaceOf(index: number): string {
    return `${this.#name}n${index}`;
  }

  /** A namespace whose programs were killed stays until their connections are given up: its cable is taken away before. */
  #end(count: number): void {
    for (let index = 0; index < count; index++) {
      spawnSync('ip', ['link', 'del', this.#cableOf(index)]);
      spawnSync('ip', ['netns', 'del', this.#spaceOf(index)]);
    }
    spawnSync('ip', ['link', 'del', this.#name]);
  }
}
