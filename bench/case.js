/**
 * The size of a run.
 *
 * @typedef {object} Scale
 * @property {boolean} quick
 * @property {number} seconds that a measured part takes
 * @property {number} runs of noisy cases, whose median is reported
 */

/**
 * The surroundings of a case.
 *
 * @typedef {object} Context
 * @property {Scale} scale
 * @property {readonly import('./peers/peer.js').Peer[]} peers that are installed, this service first
 * @property {(line: string) => void} progress
 * @property {import('./ceiling.js').Ceiling} ceiling the most that the load client can do
 * @property {import('./stored-log.js').LargeLog} largeLog
 * @property {readonly string[]} attacks names of the attacks that the case `hostile` runs; all if there are none
 * @property {string | undefined} [against] the folder of another build, with which the case `chat-page` compares
 * @property {number} [snapshotMegabytes] the approximate size of the snapshot by which a node joins
 * @property {(line: string) => void} note adds a line below the table
 */

/**
 * A target: for the ratio of the figure to the peer's, or for the figure itself.
 *
 * @typedef {{ of: 'ratio' | 'figure', atLeast: number } | { of: 'ratio' | 'figure', atMost: number }} Target
 */

/**
 * A line of the table.
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {string} unit
 * @property {Figure} figure of this service
 * @property {string} [against] the name of the peer or case that it is compared with
 * @property {Figure} [other] its figure
 * @property {Target} [target]
 * @property {number} [ceiling] of the load client, in the unit of the figures
 * @property {number} [floor] the time that the load client takes by itself, if the figure is a time
 * @property {string} [line] rows with the same `line` form one line of another table, whose columns have the names of
 *   the rows
 */

/** A number, or the reason why there is none. @typedef {number | string} Figure */

/**
 * A case: a measurement that results in rows.
 *
 * @typedef {object} Case
 * @property {string} name on the command line
 * @property {string} about
 * @property {true} [onlyNamed] whether it runs only if it, or its group, is named
 * @property {string} [group] the name of a group of cases, which runs all of them
 * @property {(context: Context) => Promise<Row[]>} run
 */

export {};
