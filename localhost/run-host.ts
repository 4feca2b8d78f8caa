// Runs one host until it is told to stop: banner, signals, and what happens when something is thrown that nobody
// catches. Used by host.ts for any app and by main.ts for this project's own.

import v8 from "node:v8";
import { HoldfastFailure, messageOf } from "../src/base/failure.ts";
import { printBanner } from "./functions-host/banner.ts";
import { createConsoleLog } from "./functions-host/console-log.ts";
import { type FunctionHost, type FunctionHostOptions, startFunctionHost } from "./functions-host/function-host.ts";
import type { LogThreshold } from "./functions-host/log-levels.ts";
import { onStopSignal } from "./stop-signals.ts";

export interface RunHostOptions extends Omit<FunctionHostOptions, "createLog" | "onBroken"> {
  readonly json: boolean;
  readonly verbose: boolean;
  /** Besides host.json's levels, and winning over them. */
  readonly levels?: Readonly<Record<string, LogThreshold>>;
  /** Called once, in the moment in which the host takes over the signals; says what there is, instead of the host's banner. */
  readonly onReady?: (host: FunctionHost) => void;
  /** What has to end after the host did. */
  readonly onStopped?: () => Promise<void>;
}

/** Resolves when the host is up; the process then lives until a signal ends it. */
export async function runHost(options: RunHostOptions): Promise<FunctionHost> {
  for (const limit of HEAP_LIMITS) v8.setFlagsFromString(limit);
  const { json, verbose } = options;
  const host = await startFunctionHost({
    ...options,
    createLog: (levels) =>
      createConsoleLog({ json, verbose, levels: { ...levels, ...options.levels }, appFolder: options.app.folder }),
    onBroken: (failure) => {
      process.stderr.write(`${failure.message}\n${failure.hint ?? ""}\n`);
      // Not a graceful stop: whatever is in memory beyond the journal must not be acted on.
      process.exit(1);
    },
  });
  surviveStrayErrors(host);
  stopOnSignals(host, options.onStopped);
  if (options.onReady) options.onReady(host);
  else printBanner(host, { json, appFolder: options.app.folder, dataFolder: options.dataFolder });
  return host;
}

/**
 * On a machine with much memory V8 lets garbage pile up: a busy hub of 60 MB of live data then keeps half a gigabyte.
 * These limits cost no throughput here (docs/performance.md).
 */
const HEAP_LIMITS = ["--max-semi-space-size=8", "--semi-space-growth-factor=1", "--heap-growing-percent=100"];

function stopOnSignals(host: FunctionHost, onStopped: (() => Promise<void>) | undefined): void {
  onStopSignal(() => {
    host.log.write(
      "information",
      "Host",
      "Stopping. Running functions get a few seconds; press Ctrl-C again to end now.",
    );
    void endProcess(host, onStopped, 0);
  });
}

/** Everything in order, and then this process. */
export async function endProcess(
  host: FunctionHost,
  onStopped: (() => Promise<void>) | undefined,
  exitCode: number,
): Promise<never> {
  try {
    await host.stop();
    await onStopped?.();
  } catch (error) {
    process.stderr.write(`The host did not stop cleanly: ${messageOf(error)}\n`);
    process.exit(1);
  }
  process.exit(exitCode);
}

/**
 * A promise that user code forgot about ends the worker in Azure, which starts it again. Here that would take every
 * orchestration of the developer down with it, so it is reported and the host goes on. Our own failures are not spared.
 */
function surviveStrayErrors(host: FunctionHost): void {
  const report = (error: unknown, what: string): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    host.log.write("error", "Host", `${what} Azure would restart the worker for this.\n${text}`);
    if (error instanceof HoldfastFailure || (error as { name?: string } | undefined)?.name === "InvariantViolation")
      process.exit(1);
  };
  process.on("unhandledRejection", (reason) => report(reason, "A promise was rejected and nobody handled it."));
  process.on("uncaughtException", (error) => report(error, "An error was thrown outside of any function call."));
}
