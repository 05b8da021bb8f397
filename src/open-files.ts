interface Report {
  readonly userLimits?: { readonly open_files?: { readonly soft?: number | string } };
}

/**
 * How many files this process may open.
 *
 * @returns the soft limit (node raises it to the hard one at its start); Infinity where there is none, or none is known
 */
export function openFileLimit(): number {
  // Looking up the names of all peers would take seconds; the types of node 20 do not have it.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as Report;
  const limit = Number(userLimits?.open_files?.soft);
  return Number.isFinite(limit) ? limit : Infinity;
}
