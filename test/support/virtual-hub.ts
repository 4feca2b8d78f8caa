// A task hub on a virtual clock over a real journal in a temporary folder. It can be closed without warning and opened
// again, as after a crash of the process: what the journal had made durable is all that is left.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Instance } from "../../localhost/task-hub/engine/instance.ts";
import { isTerminal } from "../../localhost/task-hub/engine/instance.ts";
import type { HubSettings } from "../../localhost/task-hub/hub-settings.ts";
import { openTaskHub, type TaskHub } from "../../localhost/task-hub/task-hub.ts";
import { libraryFunctions, type TestApp } from "./library-functions.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface VirtualHub {
  readonly hub: TaskHub;
  readonly clock: VirtualClock;
  readonly folder: string;
  readonly warnings: string[];
  /** Starts an orchestration and returns its id. */
  start(name: string, input?: unknown, id?: string): Promise<string>;
  /** Moves the clock from alarm to alarm until the instance has ended. */
  end(id: string): Promise<Instance>;
  /** Lets everything that is possible at this moment happen. */
  settle(): Promise<void>;
  reopen(app?: TestApp): Promise<void>;
  /** What a new process would find if this one were killed at this moment, opened; this hub goes on by itself. */
  crash(): Promise<VirtualHub>;
  close(): Promise<void>;
}

export const TEST_SETTINGS: HubSettings = {
  hubName: "TestHub",
  maxConcurrentActivityFunctions: 20,
  maxConcurrentOrchestratorFunctions: 20,
  maxOrchestrationActions: 100_000,
  overridableExistingInstanceStates: "NonRunningStates",
  keepFinishedDays: 0,
  checksSequence: true,
};

export function openVirtualHub(app: TestApp, settings: Partial<HubSettings> = {}): Promise<VirtualHub> {
  return openHub(app, settings, newFolder(), new VirtualClock());
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "holdfast-hub-"));
}

let ids = 0;

async function openHub(
  app: TestApp,
  settings: Partial<HubSettings>,
  folder: string,
  clock: VirtualClock,
): Promise<VirtualHub> {
  const warnings: string[] = [];
  const open = async (functions: TestApp): Promise<TaskHub> => {
    const hub = await openTaskHub({
      folder,
      settings: { ...TEST_SETTINGS, ...settings },
      functions: libraryFunctions(functions),
      clock,
      log: { write: (level, _category, message) => void warnings.push(`${level}: ${message}`) },
      newId: () => (ids++).toString(16).padStart(24, "0").padEnd(32, "0"),
      origin: "http://127.0.0.1:7071",
      onBroken: (failure) => warnings.push(`broken: ${failure.message}`),
    });
    hub.start();
    return hub;
  };
  let hub = await open(app);
  const settle = async (): Promise<void> => {
    let before: number;
    do {
      before = hub.commitCount;
      await turns();
      await hub.client.settled();
      await turns();
    } while (hub.commitCount !== before);
  };
  const self: VirtualHub = {
    get hub() {
      return hub;
    },
    clock,
    folder,
    warnings,
    start: (name, input, id) =>
      hub.client.start({
        name,
        input: input === undefined ? null : JSON.stringify(input),
        ...(id !== undefined && { id }),
      }),
    settle,
    end: async (id) => {
      const deadline = performance.now() + 10_000;
      for (;;) {
        await settle();
        const instance = await hub.client.find(id);
        if (instance !== undefined && isTerminal(instance.status)) return instance;
        if (performance.now() > deadline) throw new Error(`'${id}' does not end: ${JSON.stringify(instance)}`);
        const next = clock.nextMs();
        if (next !== undefined) clock.advance(next - clock.nowMs());
      }
    },
    reopen: async (functions = app) => {
      await hub.stop();
      hub = await open(functions);
    },
    crash: () => {
      const copy = newFolder();
      cpSync(folder, copy, { recursive: true });
      return openHub(app, settings, copy, new VirtualClock(clock.nowMs()));
    },
    close: async () => {
      await hub.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return self;
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}
