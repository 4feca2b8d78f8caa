// The hub as a whole, on a virtual clock, with orchestrators run by the real durable-functions library.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { OrchestrationContext } from "durable-functions";
import * as df from "durable-functions";
import { afterEach, describe, expect, it } from "vitest";
import type { TestApp } from "../../support/library-functions.ts";
import { openVirtualHub, type VirtualHub } from "../../support/virtual-hub.ts";

let hub: VirtualHub;
afterEach(() => hub.close());

async function run(app: TestApp, name: string, input?: unknown): Promise<unknown> {
  hub = await openVirtualHub(app);
  return outcome(await hub.start(name, input));
}

async function outcome(id: string): Promise<unknown> {
  const instance = await hub.end(id);
  return instance.status === "Completed"
    ? JSON.parse(instance.output ?? "null")
    : `${instance.status}: ${instance.output}`;
}

async function status(id: string): Promise<string | undefined> {
  await hub.settle();
  return (await hub.hub.client.find(id))?.status;
}

const raise = (id: string, name: string, input: unknown): Promise<void> =>
  hub.hub.client.send(id, { kind: "event", name, input: JSON.stringify(input) });

const double = (n: number): number => n * 2;
const boom = (message: string): never => {
  throw new Error(message);
};

describe("calling activities", () => {
  it("passes results on in a chain", async () => {
    const app: TestApp = {
      activities: { double },
      orchestrations: {
        *chain(context: OrchestrationContext) {
          let n = context.df.getInput() as number;
          for (let step = 0; step < 3; step++) n = yield context.df.callActivity("double", n);
          return n;
        },
      },
    };
    expect(await run(app, "chain", 5)).toBe(40);
  });

  it("collects a fan-out in the order of its calls", async () => {
    const app: TestApp = {
      activities: { double },
      orchestrations: {
        *fan(context: OrchestrationContext) {
          return yield context.df.Task.all(Array.from({ length: 300 }, (_, n) => context.df.callActivity("double", n)));
        },
      },
    };
    expect(await run(app, "fan")).toEqual(Array.from({ length: 300 }, (_, n) => n * 2));
  });

  it("hands a failure to the orchestrator, who may go on", async () => {
    const app: TestApp = {
      activities: { boom, double },
      orchestrations: {
        *copes(context: OrchestrationContext) {
          try {
            yield context.df.callActivity("boom", "no luck");
          } catch (error) {
            const n: number = yield context.df.callActivity("double", 4);
            return `${n} after ${(error as Error).message.split(" \n ")[0]}`;
          }
        },
      },
    };
    expect(await run(app, "copes")).toBe("8 after Activity function 'boom' failed: no luck");
  });

  it("fails the instance, with the reason, when the orchestrator does not catch", async () => {
    const app: TestApp = {
      activities: { boom },
      orchestrations: {
        *dies(context: OrchestrationContext) {
          yield context.df.callActivity("boom", "no luck");
        },
      },
    };
    expect(await run(app, "dies")).toMatch(
      /^Failed: Orchestrator function 'dies' failed: Activity function 'boom' failed: no luck/,
    );
  });

  it("names the activities there are when one is unknown", async () => {
    const app: TestApp = {
      activities: { double },
      orchestrations: {
        *lost(context: OrchestrationContext) {
          yield context.df.callActivity("duoble", 1);
        },
      },
    };
    expect(await run(app, "lost")).toContain("Activities of this app: double.");
  });

  it("retries with growing delays and gives up with the last error", async () => {
    const calls: number[] = [];
    const app: TestApp = {
      activities: {
        fails: () => {
          calls.push(hub.clock.nowMs());
          throw new Error(`attempt ${calls.length}`);
        },
      },
      orchestrations: {
        *retry(context: OrchestrationContext) {
          const options = new df.RetryOptions(1000, 3);
          options.backoffCoefficient = 2;
          try {
            yield context.df.callActivityWithRetry("fails", options);
          } catch (error) {
            return (error as Error).message.split(" \n ")[0];
          }
        },
      },
    };
    expect(await run(app, "retry")).toBe("Activity function 'fails' failed: attempt 3");
    const [first = 0, second = 0, third = 0] = calls;
    expect([second - first, third - second]).toEqual([1000, 2000]);
  });

  it("keeps results with their tasks when retries and new calls interleave in a fan-out", async () => {
    const attempts = new Map<number, number>();
    const app: TestApp = {
      activities: {
        double,
        flaky: (n: number) => {
          const attempt = (attempts.get(n) ?? 0) + 1;
          attempts.set(n, attempt);
          if (attempt <= n % 4) throw new Error(`${n} not yet`);
          return n * 100;
        },
      },
      orchestrations: {
        *mixed(context: OrchestrationContext) {
          const options = new df.RetryOptions(10, 5);
          const flaky = Array.from({ length: 12 }, (_, n) => context.df.callActivityWithRetry("flaky", options, n));
          const all = context.df.Task.all(flaky);
          const first: df.Task = yield context.df.Task.any([all, context.df.callActivity("double", 3)]);
          const doubled: number[] = [];
          for (let n = 0; n < 5; n++) doubled.push(yield context.df.callActivity("double", n));
          const results: number[] = yield all;
          return { first: first === all, doubled, results };
        },
      },
    };
    expect(await run(app, "mixed")).toEqual({
      first: false,
      doubled: [0, 2, 4, 6, 8],
      results: Array.from({ length: 12 }, (_, n) => n * 100),
    });
  });

  it("may return while a call that has just failed is still being retried", async () => {
    const gate = Promise.withResolvers<void>();
    let calls = 0;
    const app: TestApp = {
      activities: {
        waits: () => gate.promise,
        fails: async () => {
          await gate.promise;
          if (++calls < 3) throw new Error("not yet");
        },
      },
      orchestrations: {
        *impatient(context: OrchestrationContext) {
          const retried = context.df.callActivityWithRetry("fails", new df.RetryOptions(1000, 5));
          yield context.df.Task.any([context.df.callActivity("waits"), retried]);
          return "done";
        },
      },
    };
    hub = await openVirtualHub(app);
    const id = await hub.start("impatient");
    await hub.settle();
    // Suspended, so that both answers are taken by one episode.
    await hub.hub.client.send(id, { kind: "suspend", reason: "" });
    gate.resolve();
    await hub.settle();
    await hub.hub.client.resume(id, "");
    expect(await outcome(id)).toBe("done");
    expect(calls).toBe(3);
  });

  it("tries without limit, and across restarts, when told so with infinity", async () => {
    let calls = 0;
    const app: TestApp = {
      activities: {
        flaky: () => {
          if (++calls < 4) throw new Error("not yet");
          return calls;
        },
      },
      orchestrations: {
        *patient(context: OrchestrationContext) {
          const options = new df.RetryOptions(1000, Number.POSITIVE_INFINITY);
          options.retryTimeoutInMilliseconds = Number.POSITIVE_INFINITY;
          options.maxRetryIntervalInMilliseconds = Number.POSITIVE_INFINITY;
          return yield context.df.callActivityWithRetry("flaky", options);
        },
      },
    };
    hub = await openVirtualHub(app);
    const id = await hub.start("patient");
    await hub.settle();
    await hub.reopen();
    expect(await outcome(id)).toBe(4);
  });

  it("does not count endlessly through attempts that come too late", async () => {
    const app: TestApp = {
      activities: { boom },
      orchestrations: {
        *stubborn(context: OrchestrationContext) {
          const options = new df.RetryOptions(1000, 1_000_000);
          options.retryTimeoutInMilliseconds = 2500;
          yield context.df.callActivityWithRetry("boom", options, "always");
        },
      },
    };
    expect(await run(app, "stubborn")).toContain("Set maxNumberOfAttempts to what fits into the time-out");
  });

  it("tries once what fails for good, and hands on its details", async () => {
    let calls = 0;
    const failure = { errorType: "Bad", errorMessage: "for good", isNonRetriable: true, properties: { code: 7 } };
    const app: TestApp = {
      activities: {
        fails: () => {
          calls++;
          throw new Error(JSON.stringify(failure));
        },
      },
      orchestrations: {
        *copes(context: OrchestrationContext) {
          try {
            yield context.df.callActivityWithRetry("fails", new df.RetryOptions(1000, 4));
          } catch (error) {
            return (error as df.TaskFailedError).failureDetails.properties;
          }
        },
      },
    };
    expect(await run(app, "copes")).toEqual({ code: 7 });
    expect(calls).toBe(1);
  });

  it("stops trying when the retry time-out has passed", async () => {
    let calls = 0;
    const app: TestApp = {
      activities: {
        fails: () => {
          calls++;
          throw new Error("always");
        },
      },
      orchestrations: {
        *impatient(context: OrchestrationContext) {
          const options = new df.RetryOptions(1000, 100);
          options.retryTimeoutInMilliseconds = 2500;
          yield context.df.callActivityWithRetry("fails", options);
        },
      },
    };
    expect(await run(app, "impatient")).toContain("always");
    expect(calls).toBe(3);
  });
});

describe("timers", () => {
  it("waits a year without a second too few", async () => {
    const app: TestApp = {
      orchestrations: {
        *wait(context: OrchestrationContext) {
          const start = context.df.currentUtcDateTime.getTime();
          yield context.df.createTimer(new Date(start + 365 * 86_400_000));
          return context.df.currentUtcDateTime.getTime() - start;
        },
      },
    };
    expect(await run(app, "wait")).toBe(365 * 86_400_000);
  });

  const racing: TestApp = {
    orchestrations: {
      *race(context: OrchestrationContext) {
        const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 60_000));
        const event = context.df.waitForExternalEvent("go");
        const winner: df.Task = yield context.df.Task.any([event, timer]);
        if (winner === timer) return "timed out";
        timer.cancel();
        return `got ${event.result}`;
      },
      *forgetsToCancel(context: OrchestrationContext) {
        const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 60_000));
        yield context.df.Task.any([context.df.waitForExternalEvent("go"), timer]);
        return "done";
      },
    },
  };

  it("lets the timer win when no event comes", async () => {
    expect(await run(racing, "race")).toBe("timed out");
  });

  it("ends at once when the event comes and the timer is cancelled", async () => {
    hub = await openVirtualHub(racing);
    const id = await hub.start("race");
    await raise(id, "go", "it");
    expect(await status(id)).toBe("Completed");
    expect(await outcome(id)).toBe("got it");
  });

  it("keeps an instance running while a timer is not cancelled, as Azure does", async () => {
    hub = await openVirtualHub(racing);
    const id = await hub.start("forgetsToCancel");
    await raise(id, "go", 1);
    expect(await status(id)).toBe("Running");
    hub.clock.advance(60_000);
    expect(await status(id)).toBe("Completed");
  });
});

describe("external events", () => {
  it("keeps events that come before they are waited for, in order", async () => {
    const app: TestApp = {
      activities: { double },
      orchestrations: {
        *listens(context: OrchestrationContext) {
          yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 1000));
          const heard: unknown[] = [];
          for (let n = 0; n < 3; n++) heard.push(yield context.df.waitForExternalEvent("word"));
          return heard;
        },
      },
    };
    hub = await openVirtualHub(app);
    const id = await hub.start("listens");
    for (const word of ["one", "two", "three"]) await raise(id, "word", word);
    expect(await outcome(id)).toEqual(["one", "two", "three"]);
  });
});

describe("continue as new", () => {
  const app: TestApp = {
    orchestrations: {
      *counts(context: OrchestrationContext) {
        const { left, heard } = context.df.getInput() as { left: number; heard: unknown[] };
        if (left === 0) return heard;
        const word: unknown = yield context.df.waitForExternalEvent("word");
        context.df.continueAsNew({ left: left - 1, heard: [...heard, word] });
      },
    },
  };

  it("carries its state, and the events it has not heard yet, into the next generation", async () => {
    hub = await openVirtualHub(app);
    const id = await hub.start("counts", { left: 5, heard: [] });
    for (const word of ["a", "b", "c", "d", "e"]) await raise(id, "word", word);
    expect(await outcome(id)).toEqual(["a", "b", "c", "d", "e"]);
    const instance = await hub.hub.client.find(id);
    expect(instance?.execution.slice(24)).toBe("00000005");
  });
});

describe("sub-orchestrations", () => {
  const app: TestApp = {
    activities: { double, boom },
    orchestrations: {
      *child(context: OrchestrationContext) {
        return yield context.df.callActivity("double", context.df.getInput());
      },
      *failingChild(context: OrchestrationContext) {
        yield context.df.callActivity("boom", "child trouble");
      },
      *parent(context: OrchestrationContext) {
        const named: number = yield context.df.callSubOrchestrator("child", 1, "my-child");
        const all: number[] = yield context.df.Task.all(
          [2, 3, 4].map((n) => context.df.callSubOrchestrator("child", n)),
        );
        return [named, ...all];
      },
      *catches(context: OrchestrationContext) {
        try {
          yield context.df.callSubOrchestrator("failingChild");
        } catch (error) {
          return (error as Error).message;
        }
      },
      *selfish(context: OrchestrationContext) {
        yield context.df.callSubOrchestrator("child", 1, context.df.instanceId);
      },
      *unknown(context: OrchestrationContext) {
        yield context.df.callSubOrchestrator("nobody");
      },
    },
  };

  it("runs children, named and unnamed, and returns their results", async () => {
    expect(await run(app, "parent")).toEqual([2, 4, 6, 8]);
    expect((await hub.hub.client.find("my-child"))?.parent?.instance).toBeDefined();
  });

  it("tells the parent why a child failed", async () => {
    expect(await run(app, "catches")).toContain("child trouble");
  });

  it("refuses a child with its parent's own id", async () => {
    expect(await run(app, "selfish")).toContain("its own or its parent's instance id");
  });

  it("fails a child whose function does not exist, and says which there are", async () => {
    expect(await run(app, "unknown")).toContain("Orchestrators of this app: child");
  });

  it("tells the parent when a child is terminated", async () => {
    const waiting: TestApp = {
      orchestrations: {
        *waits(context: OrchestrationContext) {
          yield context.df.waitForExternalEvent("never");
        },
        *asks(context: OrchestrationContext) {
          try {
            yield context.df.callSubOrchestrator("waits", undefined, "kid");
          } catch (error) {
            return (error as Error).message;
          }
        },
      },
    };
    hub = await openVirtualHub(waiting);
    const id = await hub.start("asks");
    await hub.settle();
    await hub.hub.client.send("kid", { kind: "terminate", reason: "bedtime" });
    expect(await outcome(id)).toContain("bedtime");
  });
});

describe("management", () => {
  const app: TestApp = {
    activities: { double },
    orchestrations: {
      *counts(context: OrchestrationContext) {
        let total = 0;
        for (let n = 0; n < 3; n++) {
          total += (yield context.df.waitForExternalEvent("add")) as number;
          context.df.setCustomStatus({ total });
        }
        return total;
      },
    },
  };

  it("keeps what arrives while an instance is suspended and goes on with it when resumed", async () => {
    hub = await openVirtualHub(app);
    const id = await hub.start("counts");
    await raise(id, "add", 1);
    await hub.hub.client.send(id, { kind: "suspend", reason: "pause" });
    await raise(id, "add", 2);
    await raise(id, "add", 3);
    expect(await status(id)).toBe("Suspended");
    expect((await hub.hub.client.find(id))?.customStatus).toBe('{"total":1}');
    await hub.hub.client.resume(id, "go on");
    expect(await outcome(id)).toBe(6);
  });

  it("terminates with the reason as output, and answers later messages as too late", async () => {
    hub = await openVirtualHub(app);
    const id = await hub.start("counts");
    await hub.hub.client.send(id, { kind: "terminate", reason: "enough" });
    expect(await outcome(id)).toBe("Terminated: enough");
    await expect(raise(id, "add", 1)).rejects.toThrow("has ended");
  });

  it("tells the parent when its running child is started anew by a client", async () => {
    const waiting: TestApp = {
      orchestrations: {
        *waits(context: OrchestrationContext) {
          yield context.df.waitForExternalEvent("never");
        },
        *asks(context: OrchestrationContext) {
          yield context.df.callSubOrchestrator("waits", undefined, "kid");
        },
      },
    };
    hub = await openVirtualHub(waiting, { overridableExistingInstanceStates: "AnyState" });
    const id = await hub.start("asks");
    await hub.settle();
    await hub.start("waits", undefined, "kid");
    expect(await outcome(id)).toContain("'kid' was started anew");
    expect(await status("kid")).toBe("Running");
  });

  it("refuses a second start of a running id and replaces a finished one", async () => {
    hub = await openVirtualHub(app);
    const id = await hub.start("counts", undefined, "only-one");
    await expect(hub.start("counts", undefined, "only-one")).rejects.toThrow("already exists");
    await hub.hub.client.send(id, { kind: "terminate", reason: "" });
    await hub.end(id);
    await hub.start("counts", undefined, "only-one");
    expect(await status(id)).toBe("Running");
  });

  it("purges what has ended and leaves what runs", async () => {
    hub = await openVirtualHub(app);
    const ended = await hub.start("counts");
    await hub.hub.client.send(ended, { kind: "terminate", reason: "" });
    await hub.end(ended);
    const running = await hub.start("counts");
    await hub.settle();
    expect(await hub.hub.client.purgeBy({ createdFromMs: 0 })).toBe(1);
    expect(await hub.hub.client.find(ended)).toBeUndefined();
    expect(await status(running)).toBe("Running");
  });

  it("lists by pages in the order of creation, each instance once", async () => {
    hub = await openVirtualHub(app);
    const ids: string[] = [];
    for (let n = 0; n < 25; n++) ids.push(await hub.start("counts", undefined, `listed-${(n * 7) % 25}`));
    await hub.settle();
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await hub.hub.client.list({ idPrefix: "listed-" }, 4, after);
      seen.push(...page.instances.map((instance) => instance.id));
      after = page.next;
    } while (after !== undefined);
    expect(seen.toSorted()).toEqual(ids.toSorted());
  });
});

describe("HTTP calls", () => {
  it("fails when told to look at a place that is no URL", async () => {
    const server = createServer((_, response) => response.writeHead(202, { location: "http://[" }).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const app: TestApp = {
      orchestrations: {
        *polls(context: OrchestrationContext) {
          yield context.df.callHttp({ method: "GET", url });
        },
      },
    };
    try {
      expect(await run(app, "polls")).toContain("The HTTP call to http://[ failed");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("rewind", () => {
  it("runs a failed activity again and keeps what had succeeded", async () => {
    let broken = true;
    const doubled: number[] = [];
    const app: TestApp = {
      activities: {
        double: (n: number) => {
          doubled.push(n);
          return n * 2;
        },
        sometimes: () => {
          if (broken) throw new Error("broken");
          return "mended";
        },
      },
      orchestrations: {
        *work(context: OrchestrationContext) {
          const first: number = yield context.df.callActivity("double", 21);
          const child: string = yield context.df.callSubOrchestrator("child", undefined, "rewound-child");
          return { first, child };
        },
        *child(context: OrchestrationContext) {
          return yield context.df.callActivity("sometimes");
        },
      },
    };
    expect(await run(app, "work")).toContain("broken");
    const [id] = (await hub.hub.client.list({ statuses: new Set(["Failed"]) }, 10, undefined)).instances
      .filter((instance) => instance.name === "work")
      .map((instance) => instance.id);
    await hub.settle();
    broken = false;
    await hub.hub.client.rewind(id ?? "", "mended");
    expect(await outcome(id ?? "")).toEqual({ first: 42, child: "mended" });
    expect(doubled).toEqual([21]);
  });
});

describe("what Azure would silently break on", () => {
  it("fails an instance that puts a yielded task into a later compound, and says what to change", async () => {
    const app: TestApp = {
      activities: { double },
      orchestrations: {
        *reuses(context: OrchestrationContext) {
          const slow = context.df.waitForExternalEvent("never");
          const tasks = [context.df.callActivity("double", 1), slow];
          yield context.df.Task.any(tasks);
          yield context.df.Task.any([slow, context.df.callActivity("double", 2)]);
          return "unreachable";
        },
      },
    };
    expect(await run(app, "reuses")).toContain("had already been yielded");
  });

  it("fails an instance whose replay asks for something else", async () => {
    let runs = 0;
    const app: TestApp = {
      activities: { double, other: double },
      orchestrations: {
        *fickle(context: OrchestrationContext) {
          runs++;
          yield context.df.callActivity(runs === 1 ? "double" : "other", 1);
        },
      },
    };
    expect(await run(app, "fickle")).toContain(
      "on replay it asked for activity 'other' where it had asked for activity 'double'",
    );
  });

  it("fails an instance that throws a value without a message, instead of leaving it running", async () => {
    const app: TestApp = {
      orchestrations: {
        // biome-ignore lint/correctness/useYield: the point is that it throws before anything else
        *mute() {
          throw new Error("");
        },
      },
    };
    expect(await run(app, "mute")).toContain("without a message");
  });
});

describe("what people get wrong", () => {
  it.each([
    ["a plain function", () => 1],
    ["an async function", async () => 1],
    ["a function without a value", () => undefined],
  ])("says that an orchestrator must be a generator when it is %s", async (_, handler) => {
    const app = { orchestrations: { wrong: handler as never } };
    expect(await run(app, "wrong")).toContain("an orchestrator must be a generator");
  });
});

describe("entities", () => {
  const app: TestApp = {
    entities: {
      counter: (context) => {
        const state = (context.df.getState(() => 0) as number) ?? 0;
        switch (context.df.operationName) {
          case "add":
            context.df.setState(state + (context.df.getInput() as number));
            break;
          case "get":
            context.df.return(state);
            break;
          case "fail":
            throw new Error("no");
        }
      },
    },
    orchestrations: {
      *adds(context: OrchestrationContext) {
        const counter = new df.EntityId("counter", "mine");
        context.df.signalEntity(counter, "add", 5);
        yield context.df.callEntity(counter, "add", 7);
        return yield context.df.callEntity(counter, "get");
      },
      *moves(context: OrchestrationContext) {
        const from = new df.EntityId("counter", "a");
        const to = new df.EntityId("counter", "b");
        const lock: df.DurableLock = yield context.df.lock(from, to);
        const before: number = yield context.df.callEntity(from, "get");
        yield context.df.callEntity(from, "add", -1);
        yield context.df.callEntity(to, "add", 1);
        lock.release();
        return before;
      },
      *diesInside(context: OrchestrationContext) {
        yield context.df.lock(new df.EntityId("counter", "a"));
        throw new Error("inside");
      },
      *fails(context: OrchestrationContext) {
        try {
          yield context.df.callEntity(new df.EntityId("counter", "mine"), "fail");
        } catch {
          return "caught";
        }
      },
    },
  };

  it("serves signals and calls in order", async () => {
    expect(await run(app, "adds")).toBe(12);
    expect(hub.hub.client.entityState("@counter@mine")).toBe("12");
  });

  it("makes concurrent critical sections take turns", async () => {
    hub = await openVirtualHub(app);
    await hub.hub.client.signalEntity("@counter@a", "add", "10");
    const ids = await Promise.all(Array.from({ length: 10 }, () => hub.start("moves")));
    const befores = [];
    for (const id of ids) befores.push(await outcome(id));
    expect(befores.toSorted((a, b) => Number(a) - Number(b))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(hub.hub.client.entityState("@counter@b")).toBe("10");
  });

  it("releases the lock of an orchestration that dies in its critical section", async () => {
    hub = await openVirtualHub(app);
    await hub.hub.client.signalEntity("@counter@a", "add", "1");
    expect(await outcome(await hub.start("diesInside"))).toContain("inside");
    expect(await outcome(await hub.start("moves"))).toBe(1);
  });

  it("hands an entity's failure to its caller", async () => {
    expect(await run(app, "fails")).toBe("caught");
  });
});

describe("after a restart", () => {
  it("goes on with timers, activities and children where it was", async () => {
    const app: TestApp = {
      activities: { double },
      orchestrations: {
        *child(context: OrchestrationContext) {
          yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 5000));
          return yield context.df.callActivity("double", context.df.getInput());
        },
        *parent(context: OrchestrationContext) {
          const word: string = yield context.df.waitForExternalEvent("word");
          const all: number[] = yield context.df.Task.all(
            [1, 2].map((n) => context.df.callSubOrchestrator("child", n)),
          );
          return [word, ...all];
        },
      },
    };
    hub = await openVirtualHub(app);
    const id = await hub.start("parent");
    await hub.reopen();
    await raise(id, "word", "hello");
    await hub.reopen();
    await hub.settle();
    await hub.reopen();
    expect(await outcome(id)).toEqual(["hello", 2, 4]);
    await hub.hub.checkpoint();
    await hub.reopen();
    expect(await outcome(id)).toEqual(["hello", 2, 4]);
  });

  it("holds instances whose orchestrator is gone until it is back", async () => {
    const app: TestApp = {
      orchestrations: {
        *waits(context: OrchestrationContext) {
          return yield context.df.waitForExternalEvent("word");
        },
      },
    };
    hub = await openVirtualHub(app);
    const id = await hub.start("waits");
    await hub.settle();
    await hub.reopen({});
    await raise(id, "word", "still here");
    expect(await status(id)).toBe("Running");
    expect(hub.warnings.join()).toContain("no longer registers it");
    await hub.reopen(app);
    expect(await outcome(id)).toBe("still here");
  });
});
