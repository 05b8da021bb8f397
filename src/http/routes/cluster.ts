import { requireMetrics } from '../../auth/permission.ts';
import { identityOf } from '../authenticate.ts';
import type { Handler } from '../handler.ts';
import { NO_PARAMETERS } from '../parameters.ts';
import { Query } from '../query.ts';
import { sendJson } from '../send-json.ts';

/** A cluster that can be shown. */
export interface ViewedCluster {
  /** Returns the cluster as this node sees it. Does not reject if others do not answer. */
  view(): Promise<object>;
}

/** Serves `GET /cluster`: the nodes of the cluster, and its log. A token needs the claim `metrics`. */
export function cluster(viewed: ViewedCluster): Handler {
  return async (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    requireMetrics(identityOf(request), 'The state of the cluster needs');
    sendJson(response, JSON.stringify(await viewed.view()));
  };
}
