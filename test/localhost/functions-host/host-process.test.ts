// The host as its users start it: a process of its own, an app of each form, real requests.

import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { type HostProcess, type HostProcessOptions, runHostToEnd, startHost } from "../../support/host-process.ts";

const app = (name: string): string => fileURLToPath(new URL(`../../apps/${name}`, import.meta.url));
const started: HostProcess[] = [];

async function start(options: HostProcessOptions): Promise<HostProcess> {
  const host = await startHost(options);
  started.push(host);
  return host;
}

afterAll(() => Promise.all(started.map((host) => host.kill())));

async function textOf(url: string): Promise<string> {
  const response = await fetch(url);
  return `${response.status} ${await response.text()}`;
}

describe("the host", () => {
  it("serves a CommonJS app, answers 500 for what throws, and stops in order", async () => {
    const host = await start({ app: app("commonjs") });
    expect(await textOf(`${host.url}/api/hello?name=you`)).toBe("200 hello you");
    expect(await textOf(`${host.url}/api/throws`)).toBe("500 ");
    const line = await host.waitForLog(({ outcome }) => outcome === "failed");
    expect(line.message).toContain("broken on purpose");
    expect(await host.stop()).toEqual({ code: 0, signal: null });
  });

  it("runs an orchestration through the durable engine", async () => {
    const host = await start({ app: app("commonjs") });
    const response = await fetch(`${host.url}/runtime/webhooks/durabletask/orchestrators/twice?timeout=10`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "21",
    });
    expect(await response.json()).toBe(42);
  });

  it("runs the hooks of an ECMAScript module app, which may cure an error", async () => {
    const host = await start({ app: app("esm") });
    expect(await textOf(`${host.url}/api/cured`)).toBe("200 cured");
    expect(await textOf(`${host.url}/api/seen`)).toBe('200 ["appStart","pre","post","pre"]');
  });

  it("loads every file that a glob in main matches", async () => {
    const host = await start({ app: app("glob") });
    expect(await textOf(`${host.url}/api/from-a`)).toBe("200 a");
    expect(await textOf(`${host.url}/api/from-b`)).toBe("200 b");
  });

  it("ends with code 1 and the place in the source when an entry point throws", async () => {
    const { code, output } = await runHostToEnd({ app: app("broken-entry") });
    expect(code).toBe(1);
    expect(output).toContain("no settings today");
    expect(output).toMatch(/index\.cjs:2/);
  });

  it("ends with code 2 for a flag it does not know, and with 3 when the data folder is in use", async () => {
    expect((await runHostToEnd({ app: app("esm"), args: ["--prot", "1"] })).code).toBe(2);
    const host = await start({ app: app("esm") });
    expect((await runHostToEnd({ app: app("esm"), dataFolder: host.dataFolder })).code).toBe(3);
  });
});
