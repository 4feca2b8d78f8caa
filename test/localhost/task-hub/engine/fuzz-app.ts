// Runs the random programs of fuzz-program.ts with the real library: one orchestrator that does what its input says.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { OrchestrationContext } from "durable-functions";
import * as df from "durable-functions";
import type { TestApp } from "../../../support/library-functions.ts";
import type { Outcome, Program, Retried, Step, Task } from "./fuzz-program.ts";

export interface ProgramInput {
  readonly program: Program;
  readonly generation: number;
  readonly done: readonly Outcome[];
}

export const firstInput = (program: Program): ProgramInput => ({ program, generation: 0, done: [] });

/** A task of the library, with what it is made of. */
interface Built {
  readonly spec: Task;
  readonly task: df.Task;
  readonly children: readonly Built[];
}

type Steps<T> = Generator<df.Task, T, unknown>;

/** `httpOrigin`: of `startPolledServer`. */
export function fuzzApp(httpOrigin: string): TestApp {
  const attempts = new Map<string, number>();
  /** Fails until it was tried often enough; a crash may make it run more often than the engine counts. */
  const flaky = ({ key, failures }: Retried): string => {
    const before = attempts.get(key) ?? 0;
    attempts.set(key, before + 1);
    if (failures === "always" || before < failures) throw new Error(tagged(key));
    return key;
  };
  return {
    activities: {
      echo: async ({ key, turns }: { key: string; turns: number }) => {
        await passTurns(turns);
        return key;
      },
      failing: async ({ key, turns }: { key: string; turns: number }) => {
        await passTurns(turns);
        throw new Error(tagged(key));
      },
      flaky,
    },
    entities: {
      sum: ({ df: entity }) => {
        const total = (entity.getState(() => 0) as number) ?? 0;
        if (entity.operationName === "add") entity.setState(total + (entity.getInput() as number));
        else entity.return(total);
      },
    },
    orchestrations: {
      *program(context: OrchestrationContext) {
        const { program, generation, done } = context.df.getInput() as ProgramInput;
        const outcomes = [...done];
        for (const step of program.generations[generation] ?? []) {
          outcomes.push(yield* runStep(context, step, httpOrigin));
          context.df.setCustomStatus({ generation, steps: outcomes.length });
        }
        if (generation + 1 < program.generations.length) {
          context.df.continueAsNew({ program, generation: generation + 1, done: outcomes });
          return undefined;
        }
        if (program.throws !== undefined) throw new Error(tagged(program.throws));
        return outcomes;
      },
      *flakyChild(context: OrchestrationContext) {
        return yield context.df.callActivity("flaky", context.df.getInput());
      },
    },
  };
}

/** Answers `/key/n` with 202 and the place `/key/n-1`, and at 0 with the key. */
export async function startPolledServer(): Promise<{ server: Server; origin: string }> {
  const server = createServer((request, response) => {
    const [, key = "", polls = "0"] = (request.url ?? "").split("/");
    if (polls === "0") response.end(key);
    else response.writeHead(202, { location: `/${key}/${Number(polls) - 1}`, "retry-after": "1" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function* runStep(context: OrchestrationContext, step: Step, httpOrigin: string): Steps<Outcome> {
  switch (step.kind) {
    case "wait": {
      const built = build(context, step.task, httpOrigin);
      const outcome = yield* settle(built);
      if (step.cancelsTimers) cancelTimers(built);
      return outcome;
    }
    case "race": {
      const tasks = step.tasks.map((task) => build(context, task, httpOrigin));
      const any = context.df.Task.any(tasks.map(({ task }) => task));
      const first = yield* settle({ spec: { kind: "any", tasks: step.tasks }, task: any, children: tasks });
      const each: Outcome[] = [];
      for (const task of tasks) each.push(yield* settle(task));
      return { ok: { first, each } };
    }
    case "listen":
      return { ok: yield context.df.waitForExternalEvent("word") };
    case "signal":
      context.df.signalEntity(entityId(step.entity), "add", step.amount);
      return { ok: null };
    case "section":
      return yield* runSection(context, step, httpOrigin);
  }
}

function* runSection(
  context: OrchestrationContext,
  { entities, amount, inside }: Extract<Step, { kind: "section" }>,
  httpOrigin: string,
): Steps<Outcome> {
  const ids = entities.map(entityId);
  const call = (operation: string, input?: number): df.Task =>
    context.df.Task.all(ids.map((id) => context.df.callEntity(id, operation, input)));
  const lock = (yield context.df.lock(ids)) as df.DurableLock;
  const before = yield call("get");
  const outcome = yield* settle(build(context, inside, httpOrigin));
  yield call("add", amount);
  const after = yield call("get");
  lock.release();
  return { ok: { before, after, inside: outcome } };
}

function build(context: OrchestrationContext, spec: Task, httpOrigin: string): Built {
  const children = "tasks" in spec ? spec.tasks.map((child) => build(context, child, httpOrigin)) : [];
  const leaf = (task: df.Task): Built => ({ spec, task, children });
  switch (spec.kind) {
    case "all":
      return leaf(context.df.Task.all(children.map(({ task }) => task)));
    case "any":
      return leaf(context.df.Task.any(children.map(({ task }) => task)));
    case "activity":
      return leaf(context.df.callActivity("echo", spec));
    case "failing":
      return leaf(context.df.callActivity("failing", spec));
    case "retried":
      return leaf(context.df.callActivityWithRetry("flaky", retryOptions(spec), spec));
    case "retried-child":
      return leaf(context.df.callSubOrchestratorWithRetry("flakyChild", retryOptions(spec), spec));
    case "timer":
      return leaf(context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + spec.ms)));
    case "event":
      return leaf(context.df.waitForExternalEvent(spec.key));
    case "child":
      return leaf(context.df.callSubOrchestrator("program", firstInput(spec.program), spec.program.id));
    case "add":
      return leaf(context.df.callEntity(entityId(spec.entity), "add", spec.amount));
    case "http":
      return leaf(context.df.callHttp({ method: "GET", url: `${httpOrigin}/${spec.key}/${spec.polls}` }));
  }
}

function* settle(built: Built): Steps<Outcome> {
  try {
    return { ok: plainValue(built, yield built.task) };
  } catch (error) {
    return failureOf(error);
  }
}

/** What a task gave, as plain data. */
function plainValue({ spec, children }: Built, value: unknown): unknown {
  if (spec.kind === "all") {
    return children.map((child, index) => plainValue(child, (value as readonly unknown[])[index]));
  }
  if (spec.kind === "any") {
    const winner = children.findIndex(({ task }) => task === value);
    const won = children[winner] as Built;
    const { isFaulted, result } = won.task;
    return { winner, gave: isFaulted ? failureOf(result) : { ok: plainValue(won, result) } };
  }
  if (spec.kind === "http") return (value as { readonly content: string }).content;
  return value ?? null;
}

function cancelTimers({ spec, task, children }: Built): void {
  if (spec.kind === "timer" && !task.isCompleted) (task as df.TimerTask).cancel();
  for (const child of children) cancelTimers(child);
}

function retryOptions({ delayMs, attempts, backoff }: Retried): df.RetryOptions {
  const options = new df.RetryOptions(delayMs, attempts);
  options.backoffCoefficient = backoff;
  return options;
}

const tagged = (key: string): string => `<<${key}>>`;

/** Errors are told apart by the tag that their first thrower put into the message. */
export function failureOf(error: unknown): Outcome {
  const text = error instanceof Error ? error.message : String(error);
  return { error: /<<(.*?)>>/.exec(text)?.[1] ?? text };
}

const entityId = (key: string): df.EntityId => new df.EntityId("sum", key);

async function passTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}
