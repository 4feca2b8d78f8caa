// The app as it is deployed (one bundle beside a host.json) on a host that a test kills whenever it likes, with Azurite and the
// simulated Azure beside it, which go on. Everything of the host's is in one folder, so the next one goes on from there.

import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleApp } from "../../build.ts";
import { requestToken } from "../../localhost/arm-client.ts";
import { LocalAzure, type RunningLocalAzure, serviceSettings } from "../../localhost/local-azure.ts";
import { createLocalKey } from "../../localhost/local-key.ts";
import { choosePorts, type StackPorts } from "../../localhost/local-ports.ts";
import { type HostProcess, spawnHost } from "./host-process.ts";
import { newFolder, removeFolder, tinyEstate, writeEstate } from "./stack-process.ts";

const PROJECT = join(import.meta.dirname, "../..");
export const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";

export class KilledHost {
  readonly folder: string;
  readonly azure: RunningLocalAzure;
  readonly settings: Readonly<Record<string, string>>;
  readonly notices: string[];
  /** Of every host so far. */
  log = "";
  host: HostProcess | undefined;
  private readonly ports: StackPorts;
  private readonly surroundings: LocalAzure;
  private readonly token: string;

  private constructor(parts: {
    readonly folder: string;
    readonly azure: RunningLocalAzure;
    readonly settings: Readonly<Record<string, string>>;
    readonly notices: string[];
    readonly ports: StackPorts;
    readonly surroundings: LocalAzure;
    readonly token: string;
  }) {
    this.folder = parts.folder;
    this.azure = parts.azure;
    this.settings = parts.settings;
    this.notices = parts.notices;
    this.ports = parts.ports;
    this.surroundings = parts.surroundings;
    this.token = parts.token;
  }

  static async open(machines: readonly string[]): Promise<KilledHost> {
    const folder = newFolder();
    await makeApp(join(folder, "app"));
    const ports = await choosePorts(0, false);
    const notices: string[] = [];
    const identityHeader = randomBytes(16).toString("hex");
    const surroundings = new LocalAzure(
      {
        ...{ dataFolder: folder, ports, identityHeader },
        estate: writeEstate(folder, tinyEstate(machines)),
        serviceUrl: `http://127.0.0.1:${ports.host}`,
      },
      { onNotice: (text) => notices.push(text), onLost: ({ message }) => notices.push(message) },
    );
    const azure = await surroundings.start();
    const keyFile = await createLocalKey(folder);
    const settings = serviceSettings(azure, { identityHeader, keyFile, subscriptionIds: [SUBSCRIPTION] });
    const { text: token } = await requestToken(azure, "contributor");
    return new KilledHost({ folder, azure, settings, notices, ports, surroundings, token });
  }

  /** Ready to serve. */
  async start(): Promise<void> {
    const starting = spawnHost({
      app: join(this.folder, "app"),
      dataFolder: join(this.folder, "host"),
      env: { ...this.settings, NODE_COMPILE_CACHE: join(this.folder, "compiled") },
      args: ["--port", String(this.ports.host)],
    });
    this.host = await starting.ready;
  }

  async kill(): Promise<void> {
    const { host } = this;
    await host?.kill();
    this.log += host?.output ?? "";
  }

  async stop(): Promise<void> {
    await this.host?.stop();
    this.log += this.host?.output ?? "";
    this.host = undefined;
  }

  /** One request, as a client without patience sends it; undefined when the host died over it. */
  async ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Asked } | undefined> {
    try {
      const response = await fetch(`${this.host?.url}${path}${path.includes("?") ? "&" : "?"}api-version=2023-06-01`, {
        method,
        headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
    } catch {
      return undefined;
    }
  }

  /** A timer of the app, now. */
  async tick(timer: string): Promise<void> {
    await fetch(`${this.host?.url}/admin/functions/${timer}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ input: "" }),
    });
  }

  async close(): Promise<void> {
    await this.host?.kill();
    await this.surroundings.stop();
    await removeFolder(this.folder);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the API answers.
type Asked = any;

async function makeApp(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(PROJECT, "host.json"), join(folder, "host.json"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "bundled", main: "dist/index.mjs" }));
  writeFileSync(
    join(folder, "local.settings.json"),
    JSON.stringify({ Values: { FUNCTIONS_WORKER_RUNTIME: "node", HOLDFAST_TASK_HUB: "Killed" } }),
  );
  await bundleApp(join(folder, "dist/index.mjs"));
}
