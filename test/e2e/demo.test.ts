// `npm run demo` against a stack that runs: one backup, one restore from the vault alone, every byte compared, and nothing
// left behind but the recovery point.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ArmClient } from "../../localhost/arm-client.ts";
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

const DEMO = join(import.meta.dirname, "../../localhost/demo.ts");
const TARGET = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/demo-restore";
const GROUPS_API = "2021-04-01";
const DISKS_API = "2024-03-02";
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const folder = newFolder();
let stack: StackProcess;
let facts: StackFacts;
beforeAll(async () => {
  const estate = writeEstate(folder, tinyEstate(["web-01", "db-01"]));
  stack = startStack(["--data", folder, "--estate", estate, "--port", "0", "--no-demo", "--json"]);
  facts = await stack.ready;
});
afterAll(async () => {
  await stopStack(stack);
  await removeFolder(folder);
});

const demo = (...args: readonly string[]) => promisify(execFile)(process.execPath, [DEMO, "--data", folder, ...args]);

it("proves the restored disks equal, says what it did, and cleans up", async () => {
  const { stdout, stderr } = await demo("--machine", "db-01", "--json");
  const { machine, disks } = JSON.parse(stdout);
  expect(machine).toBe("db-01");
  expect(disks).toHaveLength(2);
  for (const { sizeBytes, contentBytes } of disks) {
    expect(sizeBytes).toBe(2 ** 30);
    expect(contentBytes).toBeGreaterThan(0);
  }
  expect(stderr).toContain(`Using the stack at ${facts.url}`);
  expect(await new ArmClient(facts, "owner").find(TARGET, GROUPS_API)).toBeUndefined();
});

it("keeps the disks when it is told to", async () => {
  const { stdout } = await demo("--keep");
  expect(stdout).toMatch(/^All bytes are equal\. web-01 /);
  const disks = new ArmClient(facts, "owner").list(`${TARGET}/providers/Microsoft.Compute/disks`, DISKS_API);
  for await (const { name } of disks) expect(name).toMatch(/^web-01_OsDisk-/);
});

it("fails with a reason when there is no such machine", async () => {
  await expect(demo("--machine", "nobody")).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no machine nobody in a group "demo"'),
  });
});
