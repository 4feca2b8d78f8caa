// What the task hub needs from the app: run one function once. The hub decides when and how often; the other side
// knows nothing of histories. Names are matched without regard to case.

import type { EntityOutcome } from "./engine/entity.ts";
import type { FunctionOutcome } from "./engine/episode.ts";
import type { HttpCall } from "./engine/instance.ts";
import type { TaskAnswer } from "./engine/messages.ts";

export type DurableKind = "orchestration" | "activity" | "entity";

export interface DurableFunctions {
  /** The name as the app registered it, or undefined when there is no such function. */
  nameOf(kind: DurableKind, name: string): string | undefined;
  namesOf(kind: DurableKind): readonly string[];
  /** `payload` is the JSON text of the trigger. Rejects only for faults of the host, never for what user code throws. */
  runOrchestrator(name: string, payload: string, instanceId: string): Promise<FunctionOutcome>;
  runActivity(name: string, input: string | null, instanceId: string): Promise<TaskAnswer>;
  /** Rejects when the entity function as a whole failed. */
  runEntity(name: string, payload: string, instanceId: string): Promise<EntityOutcome>;
  callHttp(request: HttpCall): Promise<TaskAnswer>;
}
