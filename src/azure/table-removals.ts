// Conditional removals in transactions. The client library's transactions remove whatever stands there; ours remove only
// what was read. So a removal goes in as a conditional update with a mark, and leaves the pipeline as what was meant.

import type { PipelinePolicy } from "@azure/core-rest-pipeline";

const MARK = "holdfastRemoves";

export const removalOf = (partitionKey: string, rowKey: string) => ({ partitionKey, rowKey, [MARK]: true });

/** Parts of a batch: a request line, headers, and the entity as JSON on a line of its own. */
const MARKED_UPDATE = new RegExp(
  `PUT (\\S+ HTTP/1\\.1\\r\\n(?:[^\\r\\n]+\\r\\n)+)(?:\\r\\n)+\\{[^\\r\\n]*"${MARK}":true\\}`,
  "g",
);

export const conditionalRemovals: PipelinePolicy = {
  name: "conditionalRemovalsPolicy",
  sendRequest(request, next) {
    const { body } = request;
    if (request.url.includes("/$batch") && typeof body === "string") {
      request.body = body.replaceAll(MARKED_UPDATE, "DELETE $1\r\n");
    }
    return next(request);
  },
};
