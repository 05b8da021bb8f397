import type { Handler } from '../handler.ts';
import { NO_PARAMETERS } from '../parameters.ts';
import { Query } from '../query.ts';
import { StoredFile } from '../stored-file.ts';

/** Serves `GET /openapi.json`: the description of the API. It is made once, so a request costs no more than a file. */
export function openApi(description: object): Handler {
  const file = new StoredFile({
    type: 'application/json; charset=utf-8',
    isText: true,
    bytes: Buffer.from(JSON.stringify(description)),
  });
  return async (request, response) => {
    new Query(request.url, NO_PARAMETERS).check();
    await file.answer(request, response);
  };
}
