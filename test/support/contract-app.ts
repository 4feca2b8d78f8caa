// The sample app of the contract tests behind a real host, and the real durable client to drive it: everything goes
// over HTTP, as it does for the users of an app.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { DurableClient } from "durable-functions";
import { type HostProcess, type HostProcessOptions, startHost } from "./host-process.ts";

// The library's HTTP client would send calls to the host through a proxy.
process.env.NO_PROXY = "localhost,127.0.0.1";

const { DurableClient: RealDurableClient } = createRequire(import.meta.url)(
  "durable-functions/lib/src/durableClient/DurableClient.js",
) as { DurableClient: new (data: object) => DurableClient };

const DURABLE_API = "/runtime/webhooks/durabletask/";
const POLL_MS = 10;
const PATIENCE_MS = 15_000;

/** The status object as the API sends it: times are texts. */
export interface Status {
  readonly name: string;
  readonly instanceId: string;
  readonly runtimeStatus: string;
  readonly input: unknown;
  readonly customStatus: unknown;
  readonly output: unknown;
  readonly createdTime: string;
  readonly lastUpdatedTime: string;
  readonly historyEvents?: readonly HistoryView[];
}

export interface HistoryView {
  readonly EventType: string;
  readonly Timestamp: string;
  readonly [field: string]: unknown;
}

export interface StartOptions {
  readonly input?: unknown;
  readonly id?: string;
}

export function sampleApp(name: string): string {
  return fileURLToPath(new URL(`../apps/${name}`, import.meta.url));
}

export async function startContractApp(options: Partial<HostProcessOptions> = {}): Promise<ContractApp> {
  const host = await startHost({ app: sampleApp("contract"), ...options });
  const binding = (await (await fetch(`${host.url}/api/binding`)).json()) as Record<string, unknown>;
  return new ContractApp(host, binding);
}

export class ContractApp {
  readonly host: HostProcess;
  /** What the host gave to the app's client binding. */
  readonly binding: Readonly<Record<string, unknown>>;
  /** Made from the binding as it is: its calls go to `rpcBaseUrl`. */
  readonly client: DurableClient;

  constructor(host: HostProcess, binding: Record<string, unknown>) {
    this.host = host;
    this.binding = binding;
    this.client = new RealDurableClient(binding);
  }

  /** As extensions before `rpcBaseUrl`: its calls go to the management URLs. */
  clientWithoutRpc(): DurableClient {
    const { rpcBaseUrl: _, ...older } = this.binding;
    return new RealDurableClient(older);
  }

  get(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.host.url}${path}`, init);
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.host.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  /** A call of the durable management API; the path is relative to its base. */
  api(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.host.url}${DURABLE_API}${path}`, init);
  }

  /** Through an HTTP function of the app, which uses the library's client. */
  async start(name: string, { input, id }: StartOptions = {}): Promise<string> {
    const path = id === undefined ? `/api/start/${name}` : `/api/start/${name}/${encodeURIComponent(id)}`;
    const response = await this.post(path, input);
    if (response.status !== 202) throw new Error(`starting '${name}': ${response.status} ${await response.text()}`);
    return ((await response.json()) as { id: string }).id;
  }

  async status(id: string, query = ""): Promise<Status> {
    const response = await this.api(`instances/${encodeURIComponent(id)}${query}`);
    return (await response.json()) as Status;
  }

  async history(id: string): Promise<readonly HistoryView[]> {
    return (await this.status(id, "?showHistory=true&showHistoryOutput=true")).historyEvents ?? [];
  }

  async until(id: string, isReached: (status: Status) => boolean, what = "the expected state"): Promise<Status> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const status = await this.status(id);
      if (isReached(status)) return status;
      if (performance.now() > deadline) throw new Error(`'${id}' does not reach ${what}: ${JSON.stringify(status)}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  ended(id: string): Promise<Status> {
    return this.until(id, ({ runtimeStatus }) => isEnded(runtimeStatus), "its end");
  }

  reaches(id: string, runtimeStatus: string): Promise<Status> {
    return this.until(id, (status) => status.runtimeStatus === runtimeStatus, runtimeStatus);
  }

  async run(name: string, input?: unknown): Promise<Status> {
    return this.ended(await this.start(name, { input }));
  }

  /** The output of an orchestration that completes. */
  async outputOf(name: string, input?: unknown): Promise<unknown> {
    const status = await this.run(name, input);
    if (status.runtimeStatus !== "Completed") throw new Error(`'${name}' is ${JSON.stringify(status)}`);
    return status.output;
  }

  /** The message with which an orchestration fails. */
  async failureOf(name: string, input?: unknown): Promise<string> {
    const status = await this.run(name, input);
    if (status.runtimeStatus !== "Failed") throw new Error(`'${name}' is ${JSON.stringify(status)}`);
    return String(status.output);
  }
}

function isEnded(runtimeStatus: string): boolean {
  return runtimeStatus === "Completed" || runtimeStatus === "Failed" || runtimeStatus === "Terminated";
}
