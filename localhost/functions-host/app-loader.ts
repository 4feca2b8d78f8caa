// Loads the app as the real Node worker does: makes `@azure/functions-core` resolvable, sets the environment, imports
// every entry point, runs the appStart hooks, asks for capabilities, and locks registration.

import { existsSync, globSync, readFileSync } from "node:fs";
import Module from "node:module";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { HoldfastFailure, messageOf } from "../../src/base/failure.ts";
import type { HostLog } from "./host-log.ts";
import { thrownText } from "./thrown-text.ts";
import { installWorkerState, type WorkerState } from "./worker-state.ts";

const CORE_MODULE = "@azure/functions-core";
const CORE_FILE = join(dirname(fileURLToPath(import.meta.url)), "core-module.cjs");

export interface AppLocation {
  readonly folder: string;
  /** Instead of package.json's `main`: a file or a glob, relative to the folder. */
  readonly entry?: string;
}

export interface LoadedWorker {
  readonly state: WorkerState;
  readonly capabilities: Readonly<Record<string, string>>;
  /** Runs the appTerminate hooks. */
  terminate(): Promise<void>;
}

interface Manifest {
  readonly main?: string;
  readonly type?: string;
}

/** The files to load, in order; fails with a way out when there are none. */
export function findEntryPoints({ folder, entry }: AppLocation): string[] {
  if (!existsSync(folder)) {
    throw new HoldfastFailure("not-found", "AppFolderMissing", `The app folder '${folder}' does not exist.`, {
      hint: "Give the folder that holds the app's package.json with --app.",
    });
  }
  const pattern = entry ?? readManifest(folder).main;
  if (pattern === undefined) {
    throw new HoldfastFailure("invalid", "EntryPointMissing", `The package.json in '${folder}' has no "main".`, {
      hint: 'Set "main" to the app\'s entry point (a file or a glob such as "dist/functions/*.js"), or give --entry.',
    });
  }
  const files = existsSync(resolve(folder, pattern)) ? [pattern] : globSync(pattern, { cwd: folder }).toSorted();
  if (files.length === 0) {
    throw new HoldfastFailure(
      "not-found",
      "EntryPointMissing",
      `No file matches the entry point '${pattern}' in '${folder}'.`,
      {
        hint: 'Build the app first (npm run build), or correct "main" in its package.json.',
      },
    );
  }
  return files.map((file) => resolve(folder, file));
}

function readManifest(folder: string): Manifest {
  const file = join(folder, "package.json");
  if (!existsSync(file)) {
    throw new HoldfastFailure("not-found", "ManifestMissing", `There is no package.json in '${folder}'.`, {
      hint: "Give the folder that holds the app's package.json with --app.",
    });
  }
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Manifest;
  } catch (error) {
    throw new HoldfastFailure("invalid", "ManifestInvalid", `${file} is not valid JSON: ${messageOf(error)}`);
  }
}

/**
 * Patching the resolver serves require, createRequire, require.resolve and loaders that return CommonJS source alike.
 * The library caches a failed look-up for good, so this comes before anything loads it.
 */
function injectCoreModule(): void {
  type Resolver = (request: string, ...rest: unknown[]) => string;
  const internals = Module as unknown as { _resolveFilename: Resolver };
  const original = internals._resolveFilename;
  internals._resolveFilename = function resolveFilename(this: unknown, request: string, ...rest: unknown[]): string {
    return request === CORE_MODULE ? CORE_FILE : original.call(this, request, ...rest);
  };
}

export function setAppEnvironment(folder: string, port: number, values: Readonly<Record<string, string>>): void {
  const { env } = process;
  for (const [name, value] of Object.entries(values)) env[name] ??= value;
  // The durable library rewrites links to port 7071 when this does not name the real port.
  env.WEBSITE_HOSTNAME = `localhost:${port}`;
  env.AZURE_FUNCTIONS_ENVIRONMENT ??= "Development";
  env.FUNCTIONS_WORKER_RUNTIME ??= "node";
  env.AzureWebJobsScriptRoot = folder;
  // The durable library's HTTP client would send the host's own management calls through a proxy.
  const excluded = new Set((env.NO_PROXY ?? env.no_proxy ?? "").split(",").filter((host) => host !== ""));
  env.NO_PROXY = [...excluded.add("localhost").add("127.0.0.1")].join(",");
  env.no_proxy = env.NO_PROXY;
}

/** `files` as findEntryPoints gives them. */
export async function loadApp(folder: string, files: readonly string[], log: HostLog): Promise<LoadedWorker> {
  const state = installWorkerState(log);
  injectCoreModule();
  for (const file of files) await loadEntryPoint(file, folder);
  await runStartHooks(state, folder);
  const capabilities = (await state.programmingModel?.getCapabilities({})) ?? {};
  state.lock();
  return {
    state,
    capabilities,
    terminate: async () => {
      const terminateContext = { hookData: {}, appHookData: state.appHookData };
      for (const hook of state.hooks.appTerminate) await hook(terminateContext);
    },
  };
}

async function runStartHooks({ hooks, appHookData }: WorkerState, folder: string): Promise<void> {
  const context = { hookData: {}, appHookData, functionAppDirectory: folder };
  try {
    for (const hook of hooks.appStart) await hook(context);
  } catch (error) {
    const message = `An appStart hook of the app failed:\n${thrownText(error)}`;
    const hint = "No function is served until it succeeds. Correct it and start again.";
    throw new HoldfastFailure("invalid", "StartHookFailed", message, { cause: error, hint });
  }
}

async function loadEntryPoint(file: string, folder: string): Promise<void> {
  try {
    if (isModule(file)) await import(pathToFileURL(file).href);
    else Module.createRequire(file)(file);
  } catch (error) {
    throw new HoldfastFailure(
      "invalid",
      "EntryPointFailed",
      `The app's entry point '${relative(folder, file)}' failed while it was loaded:\n${thrownText(error)}`,
      { cause: error, hint: "No function is served until it loads. Correct it and start again." },
    );
  }
}

function isModule(file: string): boolean {
  const extension = extname(file);
  if (extension === ".mjs" || extension === ".mts") return true;
  if (extension === ".cjs" || extension === ".cts") return false;
  return nearestManifest(dirname(file)).type === "module";
}

function nearestManifest(folder: string): Manifest {
  if (existsSync(join(folder, "package.json"))) return readManifest(folder);
  const parent = dirname(folder);
  return parent === folder ? {} : nearestManifest(parent);
}
