// The embedded host as one thing: configuration, worker, HTTP, timers and task hub, put together in the one order that
// works. The port is bound before the app loads, because the app must know it; requests that come early wait.

import { randomBytes } from "node:crypto";
import { join, resolve } from "node:path";
import type { HoldfastFailure } from "../../src/base/failure.ts";
import { realClock } from "../task-hub/clock.ts";
import { acquireHubLock } from "../task-hub/journal/hub-lock.ts";
import { openTaskHub, type TaskHub } from "../task-hub/task-hub.ts";
import { type AppLocation, findEntryPoints, type LoadedWorker, loadApp, setAppEnvironment } from "./app-loader.ts";
import { AppDurableFunctions } from "./durable-functions-port.ts";
import type { FunctionEntry, Invoker } from "./function-entry.ts";
import { buildFunctionTable, type FunctionTable, type RefusedFunction } from "./function-table.ts";
import { type HostConfig, readHostConfig, resolveSettings } from "./host-config.ts";
import type { HostLog } from "./host-log.ts";
import type { CorsSettings } from "./http/cors.ts";
import { DURABLE_SYSTEM_KEY, type HostKeys, openHostKeys } from "./http/host-keys.ts";
import { type HttpServer, type ServedRoute, startHttpServer } from "./http/http-server.ts";
import { createInvoker } from "./invoker.ts";
import type { LogThreshold } from "./log-levels.ts";
import { runByHand } from "./manual-run.ts";
import { createTimers, type Timers } from "./timers/timers.ts";
import { HOST_VERSION } from "./worker-state.ts";

export interface FunctionHostOptions {
  readonly app: AppLocation;
  /** Undefined: what local.settings.json says, else 7071. 0 lets the system choose. */
  readonly port: number | undefined;
  readonly dataFolder: string;
  readonly enforcesKeys: boolean;
  readonly cors: CorsSettings | undefined;
  /** For tests: compares the durable library's id count with the engine's. */
  readonly checksSequence: boolean;
  readonly keepFinishedDays: number | undefined;
  /** Made by the caller once the levels of host.json are known. */
  createLog(levels: Readonly<Record<string, LogThreshold>>): HostLog;
  /** The disk refused a write: nothing more is durable, and the host has to stop. */
  onBroken(failure: HoldfastFailure): void;
}

export interface FunctionHost {
  readonly url: string;
  readonly port: number;
  readonly log: HostLog;
  readonly functions: FunctionTable;
  readonly routes: readonly ServedRoute[];
  readonly timers: Timers;
  /** What the app registered and nobody can reach, with the reason. */
  readonly refused: readonly RefusedFunction[];
  stop(): Promise<void>;
}

const DEFAULT_PORT = 7071;

export async function startFunctionHost(options: FunctionHostOptions): Promise<FunctionHost> {
  const started = new Startup(options);
  try {
    return await started.run();
  } catch (error) {
    await started.undo();
    throw error;
  }
}

/** What has been started so far, to be stopped in the opposite order. */
class Startup {
  readonly #options: FunctionHostOptions;
  readonly #stops: (() => Promise<void>)[] = [];
  readonly #stopping = new AbortController();

  constructor(options: FunctionHostOptions) {
    this.#options = options;
  }

  async undo(): Promise<void> {
    this.#stopping.abort();
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  async run(): Promise<FunctionHost> {
    const options = this.#options;
    const app = { ...options.app, folder: resolve(options.app.folder) };
    // Before anything is made: a mistyped folder must not come into being by its data folder.
    const entryPoints = findEntryPoints(app);
    const config = readHostConfig(app.folder);
    const log = options.createLog(config.logLevels);
    const lock = await acquireHubLock(options.dataFolder);
    this.#stops.push(() => lock.release());
    const keys = options.enforcesKeys ? openHostKeys(join(options.dataFolder, "keys.json")) : undefined;
    const http = await this.#listen(config, log, keys);
    await lock.announce(http.url);
    setAppEnvironment(app.folder, http.port, config.values);
    const worker = await loadApp(app.folder, entryPoints, log);
    this.#stops.push(() => worker.terminate());
    const functions = buildFunctionTable(worker.state.registrations, process.env);

    let hub: TaskHub | undefined;
    const invoker = createInvoker({
      worker: worker.state,
      log,
      functionTimeoutMs: config.functionTimeoutMs,
      clientBindingData: () => (hub as TaskHub).api.clientBindingData(),
      stopping: this.#stopping.signal,
    });
    hub = await this.#openHub(config, log, invoker, functions.entries, http.url, keys);
    const timers = this.#createTimers(config, log, invoker, functions.entries);
    const { routes, refused } = serve(http, config, worker, invoker, functions, hub, timers);
    hub.start();
    await timers.start();
    this.#stops.push(() => http.close());
    return { url: http.url, port: http.port, log, functions, routes, timers, refused, stop: () => this.undo() };
  }

  async #listen(config: HostConfig, log: HostLog, keys: HostKeys | undefined): Promise<HttpServer> {
    const { port, cors } = this.#options;
    const usedCors = cors ?? config.cors;
    const http = await startHttpServer({
      port: port ?? config.localPort ?? DEFAULT_PORT,
      log,
      ...(usedCors !== undefined && { cors: usedCors }),
      ...(keys !== undefined && { keys }),
    });
    this.#stops.push(() => http.close(0));
    return http;
  }

  async #openHub(
    config: HostConfig,
    log: HostLog,
    invoker: Invoker,
    entries: readonly FunctionEntry[],
    origin: string,
    keys: HostKeys | undefined,
  ): Promise<TaskHub> {
    const apiKey = keys?.systemKeys[DURABLE_SYSTEM_KEY];
    const { checksSequence, dataFolder, keepFinishedDays, onBroken } = this.#options;
    const hub = await openTaskHub({
      folder: join(dataFolder, "hubs", config.hub.hubName),
      settings: { ...config.hub, checksSequence, keepFinishedDays: keepFinishedDays ?? config.hub.keepFinishedDays },
      functions: new AppDurableFunctions(invoker, entries, checksSequence),
      clock: realClock,
      log,
      newId: () => randomBytes(16).toString("hex"),
      origin,
      ...(apiKey !== undefined && { apiKey }),
      onBroken,
    });
    this.#stops.push(() => hub.stop());
    return hub;
  }

  #createTimers(config: HostConfig, log: HostLog, invoker: Invoker, entries: readonly FunctionEntry[]): Timers {
    const timers = createTimers({
      entries,
      invoker,
      clock: realClock,
      zoneName: process.env.WEBSITE_TIME_ZONE,
      folder: join(this.#options.dataFolder, "timers"),
      log,
      resolveSetting: (text) => resolveSettings(text, config.values, "a timer schedule"),
    });
    this.#stops.push(() => timers.stop());
    return timers;
  }
}

function serve(
  http: HttpServer,
  config: HostConfig,
  worker: LoadedWorker,
  invoker: Invoker,
  functions: FunctionTable,
  hub: TaskHub,
  timers: Timers,
): { readonly routes: readonly ServedRoute[]; readonly refused: readonly RefusedFunction[] } {
  const httpUri = worker.capabilities.HttpUri;
  const { entries } = functions;
  const { routes, refused } = http.serve({
    entries,
    invoker,
    routePrefix: config.routePrefix,
    durableApi: hub.api,
    admin: { hostVersion: HOST_VERSION, run: (entry, input) => runByHand(entry, input, timers, invoker) },
    ...(httpUri !== undefined && { streaming: { httpUri } }),
  });
  const withoutRoute = refused.map(({ entry, failure }) => ({ name: entry.name, reason: explain(failure) }));
  const withoutTrigger = entries
    .filter(({ kind }) => kind === "unsupported")
    .map(({ name, trigger }) => ({ name, reason: `This host has no ${trigger.type}; it can be run by hand.` }));
  return { routes, refused: [...functions.refused, ...withoutRoute, ...timers.refused, ...withoutTrigger] };
}

function explain({ message, hint }: HoldfastFailure): string {
  return hint === undefined ? message : `${message}. ${hint}`;
}
