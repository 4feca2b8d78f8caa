// Random sequences of client operations against a small model of what an instance is: whatever order clients find, the
// hub and the model agree on status, result and answers, with restarts in between.

import type { OrchestrationContext } from "durable-functions";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { TestApp } from "../../support/library-functions.ts";
import { openVirtualHub, type VirtualHub } from "../../support/virtual-hub.ts";

const WANTED = 3;

const app: TestApp = {
  orchestrations: {
    *adds(context: OrchestrationContext) {
      let total = 0;
      for (let n = 0; n < WANTED; n++) total += (yield context.df.waitForExternalEvent("add")) as number;
      if (total < 0) throw new Error("negative");
      return total;
    },
  },
};

type Operation =
  | { readonly op: "start" | "terminate" | "suspend" | "resume" | "purge"; readonly id: string }
  | { readonly op: "raise"; readonly id: string; readonly value: number }
  | { readonly op: "restart" }
  | { readonly op: "checkpoint" };

/** What the model knows of one instance. */
interface Model {
  status: "Running" | "Suspended" | "Completed" | "Failed" | "Terminated";
  received: number[];
  /** Arrived while suspended. */
  held: number[];
}

const ids = fc.constantFrom("a", "b", "c");
const operations: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant("start" as const), id: ids }) },
  {
    weight: 8,
    arbitrary: fc.record({ op: fc.constant("raise" as const), id: ids, value: fc.integer({ min: -5, max: 9 }) }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom("terminate" as const, "purge" as const), id: ids }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom("suspend" as const, "resume" as const), id: ids }) },
  { weight: 1, arbitrary: fc.constant({ op: "restart" as const }) },
  { weight: 1, arbitrary: fc.constant({ op: "checkpoint" as const }) },
);

const isOver = (model: Model): boolean => model.status !== "Running" && model.status !== "Suspended";

function hear(model: Model, value: number): void {
  model.received.push(value);
  if (model.received.length < WANTED) return;
  model.status = sum(model.received) < 0 ? "Failed" : "Completed";
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Applies the operation to the model and says how the hub must answer. */
function expectAnswer(
  models: Map<string, Model>,
  operation: Exclude<Operation, { op: "restart" | "checkpoint" }>,
): string {
  const model = models.get(operation.id);
  if (operation.op === "start") {
    if (model !== undefined && !isOver(model)) return "InstanceAlreadyExists";
    models.set(operation.id, { status: "Running", received: [], held: [] });
    return "ok";
  }
  if (operation.op === "purge") {
    if (model !== undefined && isOver(model)) models.delete(operation.id);
    return "ok";
  }
  if (model === undefined) return "InstanceNotFound";
  if (isOver(model)) return "InstanceHasEnded";
  switch (operation.op) {
    case "raise":
      if (model.status === "Suspended") model.held.push(operation.value);
      else hear(model, operation.value);
      return "ok";
    case "terminate":
      model.status = "Terminated";
      return "ok";
    case "suspend":
      model.status = "Suspended";
      return "ok";
    case "resume":
      return resume(model);
  }
}

function resume(model: Model): string {
  if (model.status !== "Suspended") return "InstanceNotSuspended";
  model.status = "Running";
  for (const value of model.held.splice(0)) if (model.status === "Running") hear(model, value);
  return "ok";
}

async function answer(
  hub: VirtualHub,
  operation: Exclude<Operation, { op: "restart" | "checkpoint" }>,
): Promise<string> {
  const { client } = hub.hub;
  const { id } = operation;
  try {
    if (operation.op === "start") await hub.start("adds", undefined, id);
    else if (operation.op === "purge") await client.purge(id);
    else if (operation.op === "raise") {
      await client.send(id, { kind: "event", name: "add", input: String(operation.value) });
    } else if (operation.op === "resume") await client.resume(id, "");
    else await client.send(id, { kind: operation.op, reason: "because" });
    return "ok";
  } catch (error) {
    if (error instanceof HoldfastFailure) return error.code;
    throw error;
  }
}

async function expectAgreement(hub: VirtualHub, models: ReadonlyMap<string, Model>): Promise<void> {
  for (const id of ["a", "b", "c"]) {
    const model = models.get(id);
    const instance = await hub.hub.client.find(id);
    expect({ id, status: instance?.status }).toEqual({ id, status: model?.status });
    if (model?.status === "Completed") expect(instance?.output).toBe(String(sum(model.received)));
  }
  const listed = await hub.hub.client.list({}, 10, undefined);
  expect(listed.instances.map(({ id }) => id).toSorted()).toEqual([...models.keys()].toSorted());
}

describe("any sequence of client operations", () => {
  it("is answered, and leaves every instance, as the model says", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { minLength: 5, maxLength: 40 }), async (sequence) => {
        const hub = await openVirtualHub(app);
        const models = new Map<string, Model>();
        try {
          for (const operation of sequence) {
            if (operation.op === "restart") await hub.reopen();
            else if (operation.op === "checkpoint") await hub.hub.checkpoint();
            else {
              const given = await answer(hub, operation);
              expect({ operation, given }).toEqual({ operation, given: expectAnswer(models, operation) });
            }
            await hub.settle();
            await expectAgreement(hub, models);
          }
        } finally {
          await hub.close();
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
