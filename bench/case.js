/**
 * How large a run is.
 *
 * @typedef {object} Scale
 * @property {boolean} quick
 * @property {number} seconds that a measured part takes
 * @property {number} runs of what is noisy; the median is given
 */

/**
 * What a case works with.
 *
 * @typedef {object} Context
 * @property {Scale} scale
 * @property {readonly import('./peers/peer.js').Peer[]} peers that are installed, this service first
 * @property {(line: string) => void} progress
 * @property {import('./ceiling.js').Ceiling} ceiling what the load client can do
 * @property {import('./stored-log.js').LargeLog} largeLog
 * @property {readonly string[]} attacks names of those that the case `hostile` runs; all if there are none
 * @property {string | undefined} [against] the folder of another build, which the case `chat-page` is compared with
 * @property {number} [snapshotMegabytes] about how large a snapshot is that a node joins by
 * @property {(line: string) => void} note adds a line below the table
 */

/**
 * What has to be reached: a ratio of the figure to the peer's, or the figure itself.
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
 * @property {string} [against] whom or what it is compared with
 * @property {Figure} [other] the figure of that
 * @property {Target} [target]
 * @property {number} [ceiling] of the load client, in the unit of the figures
 * @property {number} [floor] what the load client takes by itself, if a figure is a time
 * @property {string} [line] rows with the same one are a line of another table, whose columns have the names of the rows
 */

/** A number, or why there is none. @typedef {number | string} Figure */

/**
 * A case: what is measured, and the rows that come of it.
 *
 * @typedef {object} Case
 * @property {string} name on the command line
 * @property {string} about
 * @property {true} [onlyNamed] whether it runs only if it, or its group, is named
 * @property {string} [group] several cases that are named together
 * @property {(context: Context) => Promise<Row[]>} run
 */

export {};
