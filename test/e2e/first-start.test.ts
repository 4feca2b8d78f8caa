// A first start in an empty folder, as a newcomer does it: within two minutes there are recovery points of every machine, and
// of runs that nobody asked for. A second start finds all of it and makes nothing twice.

import { execFile } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ArmClient } from "../../localhost/arm-client.ts";
import { BACKUP_API, DEMO_VAULT, itemPath } from "../../localhost/demo-vault.ts";
import {
  newFolder,
  removeFolder,
  type StackFacts,
  type StackProcess,
  startStack,
  stopStack,
  tinyEstate,
  writeEstate,
} from "../support/stack-process.ts";

const PROJECT = join(import.meta.dirname, "../..");
const PROMISE_MS = 120_000;
const LOOK_MS = 500;
const INTERVAL = `${DEMO_VAULT}/backupPolicies/EveryFewMinutes/everyMinutes`;
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

it("has recovery points within two minutes", async () => {
  const arm = new ArmClient(await stack.ready, "contributor");
  await withinThePromise("the policy stands", async () => (await arm.find(INTERVAL, BACKUP_API)) !== undefined);
  await withinThePromise("every machine has a point", async () => {
    const counts = await Promise.all(
      MACHINES.map(async (machine) => {
        const isProtected = (await arm.find(itemPath(machine), BACKUP_API)) !== undefined;
        return isProtected ? (await listed(arm, `${itemPath(machine)}/recoveryPoints`)).length : 0;
      }),
    );
    return counts.every((count) => count > 0);
  });
});

/** A block of the README, with the addresses of this stack. */
function readmeBlock(language: "sh" | "js", { url, azureUrl }: StackFacts): string {
  const readme = readFileSync(join(PROJECT, "README.md"), "utf8");
  const [, block = ""] = new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(readme) ?? [];
  expect(block).toContain("http://127.0.0.1:7072");
  return block.replaceAll("http://127.0.0.1:7071", url).replaceAll("http://127.0.0.1:7072", azureUrl);
}

it("lets a newcomer follow the README with curl", async () => {
  const facts = await stack.ready;
  const env = { ...process.env, TOKEN: facts.token };
  const { stdout } = await promisify(execFile)("bash", ["-c", readmeBlock("sh", facts)], { env });
  expect(stdout).toContain('"operation":"Restore","status":"Completed"');
  expect(stdout).toMatch(/"name":"web-01_OsDisk-[0-9a-f]{12}"/);
});

it("lets a newcomer follow the README with the official SDK", async () => {
  const facts = await stack.ready;
  // In the project's folder, where its packages are found.
  const script = join(PROJECT, `.first-restore-${process.pid}.mjs`);
  writeFileSync(script, readmeBlock("js", facts));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [script]);
    expect(stdout).toContain("Backup of web-01: Completed");
    expect(stdout).toContain("Restore of web-01: Completed");
  } finally {
    rmSync(script);
  }
});

it("backs machines up by itself", async () => {
  const arm = new ArmClient(await stack.ready, "contributor");
  // Sooner than the demonstration's five minutes, for the test's sake.
  await arm.request("PUT", INTERVAL, BACKUP_API, { properties: { everyMinutes: 1 } });
  startedAtMs = performance.now();
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
  const { properties } = await arm.find(INTERVAL, BACKUP_API);
  expect(properties.everyMinutes).toBe(1);
});
