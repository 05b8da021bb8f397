import { readFileSync } from 'node:fs';

/** Returns the resident memory of a process, in bytes (Linux). */
export function residentBytes(pid: number): number {
  return fieldOf(pid, /^VmRSS:\s+(\d+) kB$/m);
}

/** The most that a process ever held in memory, in bytes (Linux). */
export function peakBytes(pid: number): number {
  return fieldOf(pid, /^VmHWM:\s+(\d+) kB$/m);
}

function fieldOf(pid: number, field: RegExp): number {
  return Number(field.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
