import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folder in which control groups of version 1 are mounted for the CPU, and the folder of version 2. */
const FIRST = '/sys/fs/cgroup/cpu';
const SECOND = '/sys/fs/cgroup';

/** A group that has used its share waits until the period ends: a short period makes short waits. */
const PERIOD_MICROSECONDS = 20_000;

/** The groups of this process. @type {Set<CpuShare>} */
const open = new Set();
process.on('exit', () => {
  for (const share of open) share.remove();
});

/** A part of one core, to which a Linux control group limits a process. It needs root. */
export class CpuShare {
  #folder;

  /** @param {string} folder of the control group */
  constructor(folder) {
    this.#folder = folder;
  }

  /**
   * Makes a control group.
   *
   * @param {string} name
   * @param {number} cores such as 0.25
   * @param {{ first: string, second: string }} [roots] where control groups are mounted
   * @returns {CpuShare | undefined} `undefined` if this machine or this user may not make one
   */
  static make(name, cores, { first, second } = { first: FIRST, second: SECOND }) {
    const quota = Math.round(cores * PERIOD_MICROSECONDS);
    const isFirst = existsSync(join(first, 'cpu.cfs_quota_us'));
    const folder = join(isFirst ? first : second, `tidings-bench-${process.pid}-${name}`);
    try {
      mkdirSync(folder);
      if (isFirst) {
        writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD_MICROSECONDS));
        writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quota));
      } else {
        writeFileSync(join(folder, 'cpu.max'), `${quota} ${PERIOD_MICROSECONDS}`);
      }
    } catch {
      rmdirQuietly(folder);
      return undefined;
    }
    const share = new CpuShare(folder);
    open.add(share);
    return share;
  }

  /**
   * Limits a process, all its threads, and everything that it starts from now on.
   *
   * @param {number | undefined} pid
   */
  hold(pid) {
    writeFileSync(join(this.#folder, 'cgroup.procs'), String(pid));
  }

  /** Removes the group. Does nothing if a process is in it. */
  remove() {
    if (rmdirQuietly(this.#folder)) open.delete(this);
  }
}

/** @param {string} folder */
function rmdirQuietly(folder) {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}
