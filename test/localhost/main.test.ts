// `npm start`, without npm: the project's own app on the embedded host, as a process of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

const MAIN = join(import.meta.dirname, "../../localhost/main.ts");

const children: ChildProcess[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.kill("SIGKILL")) await once(child, "close");
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The host alone: what stands around it is tried in test/e2e. */
function start(...args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, "--host-only", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-main-"));
  folders.push(folder);
  return folder;
}

async function urlOf(child: ReturnType<typeof start>): Promise<string> {
  const lines = createInterface({ input: child.stdout });
  return new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const { event, url } = JSON.parse(line);
      if (event === "ready") resolve(url);
    });
    lines.on("close", () => reject(new Error("the host ended before it was ready")));
  });
}

async function endOf(child: ReturnType<typeof start>) {
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  return { code, stderr };
}

describe("npm start", () => {
  it("serves health and version from the sources", async () => {
    const before = new Date();
    const url = await urlOf(start("--port", "0", "--data", newFolder(), "--json"));
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
    const version = (await (await fetch(`${url}/version`)).json()) as { startedAt: string };
    expect(version).toMatchObject({ name: "holdfast", version: packageJson.version, node: process.version });
    expect(new Date(version.startedAt).getTime()).toBeGreaterThanOrEqual(before.getTime() - 1);
    expect((await fetch(`${url}/api/healthz`)).status).toBe(404);
  });

  it.skipIf(process.platform === "win32")("takes a Ctrl-C that arrives twice for one, and ends in order", async () => {
    const child = start("--port", "0", "--data", newFolder(), "--json");
    await urlOf(child);
    child.kill("SIGINT");
    child.kill("SIGINT");
    expect((await endOf(child)).code).toBe(0);
  });

  it("leaves a data folder that another one uses alone", async () => {
    const folder = newFolder();
    const first = start("--port", "0", "--data", folder, "--json");
    const url = await urlOf(first);
    const { code, stderr } = await endOf(start("--port", "0", "--data", folder, "--json"));
    expect(code).toBe(3);
    expect(stderr).toContain(String(first.pid));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it.each([
    [["--prot", "1"], "Unknown option '--prot'. Did you mean --port?"],
    [["--port", "80000"], "--port takes a whole number from 0 to 65535, not '80000'."],
    [["--port", "x"], "--port takes a whole number from 0 to 65535, not 'x'."],
    [["--port"], "Option '--port <value>' argument missing."],
    [["here"], "Unexpected argument 'here'."],
  ])("refuses %j with a way out", async (args, message) => {
    const { code, stderr } = await endOf(start(...args));
    expect([code, stderr]).toEqual([2, `${message}\nSee --help.\n`]);
  });

  it("explains itself", async () => {
    const child = start("--help");
    const [text] = await once(child.stdout, "data");
    expect(String(text)).toContain("--port <n>");
    expect((await endOf(child)).code).toBe(0);
  });
});
