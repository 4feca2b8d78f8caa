// A first start in an empty folder, as a newcomer does it: within two minutes there are recovery points of every machine, and
// of runs that nobody asked for. A second start finds all of it and makes nothing twice.

import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ArmClient } from "../../localhost/arm-client.ts";
import { BACKUP_API, DEMO_VAULT, itemPath } from "../../localhost/demo-vault.ts";
import {
  newFolder,
  removeFolder,
  type StackProcess,
  startStack,
  stopStack,
  tinyEstate,
  writeEstate,
} from "../support/stack-process.ts";

const PROMISE_MS = 120_000;
const LOOK_MS = 500;
vi.setConfig({ testTimeout: 2 * PROMISE_MS, hookTimeout: PROMISE_MS });

const MACHINES = ["web-01", "db-01", "files-01", "idle-01"];
const folder = newFolder();
const estate = writeEstate(folder, tinyEstate(MACHINES));
const start = () => startStack(["--data", folder, "--estate", estate, "--port", "0", "--json"]);

let stack: StackProcess;
let startedAtMs: number;
beforeAll(() => {
  startedAtMs = performance.now();
  stack = start();
});
afterAll(async () => {
  await stopStack(stack);
  await removeFolder(folder);
});

async function listed(arm: ArmClient, path: string) {
  const entries = [];
  for await (const entry of arm.list(path, BACKUP_API)) entries.push(entry);
  return entries;
}

async function withinThePromise(what: string, isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) {
    if (performance.now() - startedAtMs > PROMISE_MS) throw new Error(`not within two minutes: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const jobsOf = async (arm: ArmClient, operation: string) => {
  const filter = encodeURIComponent(`operation eq '${operation}'`);
  return listed(arm, `${DEMO_VAULT}/backupJobs?$filter=${filter}`);
};

it("has recovery points within two minutes, and then more by itself", async () => {
  const arm = new ArmClient(await stack.ready, "contributor");
  const interval = `${DEMO_VAULT}/backupPolicies/EveryFewMinutes/everyMinutes`;
  await withinThePromise("the policy stands", async () => (await arm.find(interval, BACKUP_API)) !== undefined);
  await withinThePromise("every machine has a point", async () => {
    const counts = await Promise.all(
      MACHINES.map(async (machine) => {
        const isProtected = (await arm.find(itemPath(machine), BACKUP_API)) !== undefined;
        return isProtected ? (await listed(arm, `${itemPath(machine)}/recoveryPoints`)).length : 0;
      }),
    );
    return counts.every((count) => count > 0);
  });
  // Sooner than the demonstration's five minutes, for the test's sake.
  startedAtMs = performance.now();
  await arm.request("PUT", interval, BACKUP_API, { properties: { everyMinutes: 1 } });
  await withinThePromise("a run that nobody asked for is completed", async () =>
    (await jobsOf(arm, "Backup")).some(
      ({ properties }) => properties.isUserTriggered === false && properties.status === "Completed",
    ),
  );
});

it("finds everything at the next start, and makes nothing twice", async () => {
  await stopStack(stack);
  stack = start();
  const arm = new ArmClient(await stack.ready, "contributor");
  startedAtMs = performance.now();
  await withinThePromise("the demonstration is told of", async () =>
    /The vault \\"demo\\" protects/.test(stack.output()),
  );
  expect(stack.output()).not.toContain("First backups are on their way");
  expect(await jobsOf(arm, "ConfigureBackup")).toHaveLength(MACHINES.length);
  const { properties } = await arm.find(`${DEMO_VAULT}/backupPolicies/EveryFewMinutes/everyMinutes`, BACKUP_API);
  expect(properties.everyMinutes).toBe(1);
});
