import type { Project } from './projection.ts';
import type { UpkeepTask } from './upkeep-task.ts';

/** The number of ids projected at once. */
const PROJECTION_ROWS = 50;

/** The projection is updated when it is this many ids behind, or after a second. Queries read the rest from the log. */
const PROJECTION_LAG = 5000;

/** The task that keeps the projection up to date. */
export class ProjectionTask implements UpkeepTask {
  /** The minimum number of ids that it is behind. */
  behind = 0;
  isTime = true;
  readonly #project: Project;

  constructor(project: Project) {
    this.#project = project;
  }

  get isDue(): boolean {
    return this.isTime || this.behind >= PROJECTION_LAG;
  }

  run(): number {
    this.behind = this.#project(PROJECTION_ROWS);
    // An update, once started, continues until the projection is up to date.
    this.isTime = this.behind > 0;
    return PROJECTION_ROWS;
  }
}
