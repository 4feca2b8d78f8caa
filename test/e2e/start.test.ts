// `npm start` as its user meets it: what it says, mistakes with it, Ctrl-C at any time, and the sudden end of each of its
// processes.

import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
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

const PATIENCE_MS = 120_000;
vi.setConfig({ testTimeout: PATIENCE_MS });
const LOOK_MS = 100;

const stacks: StackProcess[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const stack of stacks.splice(0)) {
    stack.send("SIGKILL");
    await stack.ended;
  }
  for (const folder of folders.splice(0)) {
    await childrenGone(folder);
    await removeFolder(folder);
  }
});

function newData(): { readonly folder: string; readonly args: readonly string[] } {
  const folder = newFolder();
  folders.push(folder);
  const estate = writeEstate(folder, tinyEstate(["web-01"]));
  return { folder, args: ["--data", folder, "--estate", estate, "--no-demo"] };
}

function start(args: readonly string[]): StackProcess {
  const stack = startStack(args);
  stacks.push(stack);
  return stack;
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Who holds the folders of Azurite and of the simulated Azure; undefined when nobody living does. */
function childOf(folder: string, part: "azurite" | "azure"): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(join(folder, part, "host.json"), "utf8")) as { pid: number };
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

const childrenGone = (folder: string) =>
  until("Azurite and the simulated Azure end", () =>
    [childOf(folder, "azurite"), childOf(folder, "azure")].every((pid) => pid === undefined),
  );

async function answers({ url, azureUrl, token }: StackFacts): Promise<number[]> {
  const vaults = "/providers/Microsoft.RecoveryServices/vaults?api-version=2024-04-01";
  const headers = { Authorization: `Bearer ${token}` };
  const path = `/subscriptions/11111111-1111-1111-1111-111111111111${vaults}`;
  const asked = [fetch(`${url}${path}`, { headers }), fetch(`${azureUrl}${path}`, { headers })];
  return (await Promise.all(asked)).map(({ status }) => status);
}

it("says in one line where everything is, with a token that works at once", async () => {
  const { args } = newData();
  const stack = start([...args, "--port", "0", "--json"]);
  const facts = await stack.ready;
  expect(facts.commands).toHaveLength(3);
  expect(await answers(facts)).toEqual([200, 200]);
  const blob = await fetch(facts.blobUrl);
  expect(blob.headers.get("server")).toMatch(/Azurite-Blob/);
  await stopStack(stack);
});

it("names every port that is taken, and how to choose others", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  const blobPort = (taken.address() as { port: number }).port;
  const { args } = newData();
  const stack = start([...args, "--port", String(blobPort - 2)]);
  const { code } = await stack.ended;
  taken.close();
  expect(code).toBe(1);
  expect(stack.output()).toContain(`port ${blobPort} for Azurite's blobs (another program listens there)`);
  expect(stack.output()).toContain("npm start -- --port <n>");
});

it("refuses a folder that another start has, and leaves that alone", async () => {
  const { args } = newData();
  const first = start([...args, "--port", "0", "--json"]);
  const facts = await first.ready;
  const second = start([...args, "--port", "0", "--json"]);
  expect((await second.ended).code).toBe(3);
  expect(second.output()).toContain(`process ${first.pid}`);
  expect(await answers(facts)).toEqual([200, 200]);
});

it("ends in order on a Ctrl-C during the start, with nothing left behind", async () => {
  const { folder, args } = newData();
  const stack = start([...args, "--port", "0", "--json"]);
  await until("Azurite is being started", () => childOf(folder, "azurite") !== undefined);
  stack.send("SIGINT");
  expect((await stack.ended).code).toBe(130);
  await childrenGone(folder);
});

it("survives the sudden end of the simulated Azure and of Azurite, and says what that may have cost", async () => {
  const { folder, args } = newData();
  const stack = start([...args, "--port", "0", "--json"]);
  const facts = await stack.ready;
  for (const part of ["azure", "azurite"] as const) {
    const before = childOf(folder, part) ?? 0;
    process.kill(before, "SIGKILL");
    await until(`${part} is there again`, () => ![undefined, before].includes(childOf(folder, part)));
  }
  await until("both were told of", () => (stack.output().match(/is there again/g) ?? []).length === 2);
  expect(stack.output()).toMatch(/The simulated Azure ended unexpectedly \(SIGKILL\).*Nothing is lost/);
  expect(stack.output()).toMatch(/Azurite ended unexpectedly \(SIGKILL\).*may be lost/);
  expect(await answers(facts)).toEqual([200, 200]);
  await stopStack(stack);
});

it("leaves nothing running when it is killed, and goes on at the next start", async () => {
  const { folder, args } = newData();
  const first = start([...args, "--port", "0", "--json"]);
  const facts = await first.ready;
  const group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/demo";
  const vault = `${group}/providers/Microsoft.RecoveryServices/vaults/kept?api-version=2024-04-01`;
  const headers = { Authorization: `Bearer ${facts.token}`, "Content-Type": "application/json" };
  const body = JSON.stringify({ location: "westeurope", properties: {} });
  expect((await fetch(`${facts.url}${vault}`, { method: "PUT", headers, body })).status).toBe(201);
  first.send("SIGKILL");
  await first.ended;
  // At once: the second start waits for what the first has left.
  const second = start([...args, "--port", "0", "--json"]);
  const again = await second.ready;
  const answer = await fetch(`${again.url}${vault}`, { headers: { Authorization: `Bearer ${again.token}` } });
  expect(answer.status).toBe(200);
  await stopStack(second);
  expect(childOf(folder, "azurite")).toBeUndefined();
});
