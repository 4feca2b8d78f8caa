// Starting orchestrations and asking about them through the durable client of an invocation.

import { type DurableClient, OrchestrationRuntimeStatus } from "durable-functions";
import { HoldfastFailure, messageOf } from "../src/base/failure.ts";
import type { Workflow } from "../src/ports/workflow.ts";

const OVER: readonly OrchestrationRuntimeStatus[] = [
  OrchestrationRuntimeStatus.Completed,
  OrchestrationRuntimeStatus.Failed,
  OrchestrationRuntimeStatus.Canceled,
  OrchestrationRuntimeStatus.Terminated,
];

export function durableWorkflow(client: DurableClient): Workflow {
  const stateOf: Workflow["stateOf"] = async (instanceId) => {
    try {
      const { runtimeStatus } = await client.getStatus(instanceId);
      return OVER.includes(runtimeStatus) ? "over" : "running";
    } catch (cause) {
      // The client knows no other way to say it than this text.
      if (messageOf(cause).includes("HTTP 404")) return "absent";
      throw unavailable(cause);
    }
  };
  return {
    stateOf,
    async start(orchestrator, instanceId, input) {
      try {
        await client.startNew(orchestrator, { instanceId, input });
      } catch (cause) {
        // Refused because it runs already, or the answer to a start that took effect was lost: both are what was wanted.
        if ((await stateOf(instanceId)) !== "running") throw unavailable(cause);
      }
    },
  };
}

function unavailable(cause: unknown): HoldfastFailure {
  const message = "The durable engine does not answer";
  return new HoldfastFailure("unavailable", "HoldfastWorkflowUnavailable", message, { cause, hint: "Try again." });
}
