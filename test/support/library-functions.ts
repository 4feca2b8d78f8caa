// Orchestrators, activities and entities of a test, run by the real durable-functions library inside the test's own
// process: what a hub needs of an app, without a host around it.

import { createRequire } from "node:module";
import type { EntityHandler, OrchestrationHandler } from "durable-functions";
import { AppDurableFunctions } from "../../localhost/functions-host/durable-functions-port.ts";
import type {
  FunctionEntry,
  Invocation,
  InvocationOutcome,
  Invoker,
} from "../../localhost/functions-host/function-entry.ts";
import type { FunctionCallback, RpcTypedData } from "../../localhost/functions-host/rpc.ts";
import type { FunctionOutcome } from "../../localhost/task-hub/engine/episode.ts";

type LibraryListener = (trigger: unknown, context: object) => Promise<unknown>;

const library = createRequire(import.meta.url)("durable-functions/lib/src/util/testingUtils.js") as {
  createOrchestrator(handler: OrchestrationHandler): LibraryListener;
  createEntityFunction(handler: EntityHandler<never>): LibraryListener;
  DummyOrchestrationContext: new (name: string, id: string, log: () => void) => object;
  DummyEntityContext: new (name: string, id: string, log: () => void) => object;
};

export interface TestApp {
  readonly orchestrations?: Readonly<Record<string, OrchestrationHandler>>;
  readonly activities?: Readonly<Record<string, (input: never) => unknown>>;
  // biome-ignore lint/suspicious/noExplicitAny: entities of different state types stand in one table
  readonly entities?: Readonly<Record<string, EntityHandler<any>>>;
  /** Is told of every turn of an orchestration: what it was given, and what came of it. */
  readonly onEpisode?: (episode: Episode) => void;
}

export interface Episode {
  readonly orchestrator: string;
  readonly instanceId: string;
  /** JSON text: the whole history of the execution so far. */
  readonly payload: string;
  readonly outcome: FunctionOutcome;
}

export function libraryFunctions(app: TestApp): AppDurableFunctions {
  const entries = [
    ...Object.entries(app.orchestrations ?? {}).map(([name, handler]) =>
      entry("orchestration", name, library.createOrchestrator(handler) as FunctionCallback),
    ),
    ...Object.entries(app.activities ?? {}).map(([name, handler]) =>
      entry("activity", name, handler as FunctionCallback),
    ),
    ...Object.entries(app.entities ?? {}).map(([name, handler]) =>
      entry("entity", name, library.createEntityFunction(handler) as FunctionCallback),
    ),
  ];
  return new ToldFunctions(new DirectInvoker(), entries, true, app.onEpisode);
}

class ToldFunctions extends AppDurableFunctions {
  private readonly tell: TestApp["onEpisode"];

  constructor(
    invoker: Invoker,
    entries: readonly FunctionEntry[],
    checksSequence: boolean,
    tell: TestApp["onEpisode"],
  ) {
    super(invoker, entries, checksSequence);
    this.tell = tell;
  }

  override async runOrchestrator(orchestrator: string, payload: string, instanceId: string): Promise<FunctionOutcome> {
    const outcome = await super.runOrchestrator(orchestrator, payload, instanceId);
    this.tell?.({ orchestrator, instanceId, payload, outcome });
    return outcome;
  }
}

function entry(kind: FunctionEntry["kind"], name: string, callback: FunctionCallback): FunctionEntry {
  const trigger = { type: `${kind}Trigger`, direction: "in" } as const;
  const metadata = { name, bindings: { trigger } };
  return { name, id: name, kind, metadata, callback, triggerName: "trigger", trigger, durableClientNames: [] };
}

class DirectInvoker implements Invoker {
  async invoke({ entry: { kind, name, callback }, trigger }: Invocation): Promise<InvocationOutcome> {
    const input = trigger.string === undefined ? undefined : parsed(trigger.string);
    const silent = (): void => {};
    const context =
      kind === "entity"
        ? new library.DummyEntityContext(name, "test", silent)
        : new library.DummyOrchestrationContext(name, "test", silent);
    try {
      const result = await callback(input, context);
      const response = kind === "activity" ? { outputData: [], returnValue: typedData(result) } : undefined;
      return { ok: true, invocationId: "test", result, response, context };
    } catch (error) {
      return { ok: false, invocationId: "test", error, timedOut: false };
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function typedData(value: unknown): RpcTypedData | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return { string: value };
  if (typeof value === "number") return Number.isInteger(value) ? { int: value } : { double: value };
  return { json: JSON.stringify(value) };
}
