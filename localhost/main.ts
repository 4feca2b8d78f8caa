// `npm start`: this project's own app, from its sources, on the embedded host, and around it what it needs of Azure: Azurite
// and a simulated Azure with machines that live. All state is in one folder, everything listens on this machine alone.

import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { messageOf } from "../src/base/failure.ts";
import { requestToken } from "./arm-client.ts";
import { EXIT_CODES, readFlags, runCommand, wholeNumber } from "./command-line.ts";
import { SUBSCRIPTION, setUpDemoVault } from "./demo-vault.ts";
import { localFolder, stackFile } from "./found-stack.ts";
import { printBanner } from "./functions-host/banner.ts";
import { standardOutput } from "./functions-host/console-log.ts";
import type { FunctionHost } from "./functions-host/function-host.ts";
import type { LogThreshold } from "./functions-host/log-levels.ts";
import { azureFolder, azuriteFolder, LocalAzure, type RunningLocalAzure, serviceSettings } from "./local-azure.ts";
import { createLocalKey } from "./local-key.ts";
import { choosePorts, PORTS_TAKEN, requireFreePorts, type StackPorts } from "./local-ports.ts";
import { acquireLockWithin } from "./patient-lock.ts";
import { endProcess, type RunHostOptions, runHost } from "./run-host.ts";
import { type StackFacts, stackLine, stackText } from "./stack-banner.ts";
import { exitCodeOf, onStopSignal } from "./stop-signals.ts";
import { acquireHubLock } from "./task-hub/journal/hub-lock.ts";
import { endWithParent } from "./with-parent.ts";

const projectFolder = dirname(import.meta.dirname);
const DEFAULT_PORT = 7071;
const LAST_PORT = 65_535;
/** Azurite and the simulated Azure of a start that was killed end by themselves; that takes them a moment. */
const EARLIER_ONES_MS = 30_000;

/** For people: the ends of jobs and runs. Every step of them, and every call, would scroll away what they came for. */
const TERSE: Readonly<Record<string, LogThreshold>> = {
  Function: "warning",
  "Function.backup-v": "information",
  "Function.restore-v": "information",
  "Function.item-job-v": "information",
  "Function.policy-run-v": "information",
};

const HELP = `Runs Holdfast on this machine, and around it Azurite and a simulated Azure with machines to back up.

Usage: npm start -- [options]

  --port <n>      The API listens on 127.0.0.1:<n>; the simulated Azure on n+1; Azurite on n+2 (blobs), n+3 (queues) and
                  n+4 (tables); n+5 is kept for a TLS front (default: ${DEFAULT_PORT}; 0: any that are free)
  --data <folder> Keep all state here (default: .holdfast in the project)
  --estate <name> What the simulated Azure begins with: default, big, or a file
  --no-demo       Without the vault "demo", whose policy backs machines up every few minutes
  --host-only     Only the host; its settings come from the environment, as in Azure
  --json          One JSON object a line instead of text
  --verbose       Everything the host and the app say, whatever host.json allows, and all functions at the start
  --help          This text

Ctrl-C stops: running functions get a few seconds, orchestrations go on at the next start. Twice: now.
Exit codes: ${EXIT_CODES}, 130 stopped by Ctrl-C before it was up.
`;

interface Choices {
  readonly ports: StackPorts;
  readonly dataFolder: string;
  readonly estate: string;
  readonly hasDemo: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
}

await runCommand(async () => {
  const flags = readFlags({
    port: { type: "string" },
    data: { type: "string" },
    estate: { type: "string" },
    "no-demo": { type: "boolean" },
    "host-only": { type: "boolean" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    // For what starts a stack of its own: it must not outlive that.
    "with-parent": { type: "boolean" },
    help: { type: "boolean" },
  });
  if (flags.help) {
    process.stdout.write(HELP);
    return;
  }
  if (flags["with-parent"]) endWithParent();
  const isAlone = flags["host-only"] ?? false;
  const port = wholeNumber("port", flags.port, isAlone ? LAST_PORT : LAST_PORT - PORTS_TAKEN + 1) ?? DEFAULT_PORT;
  const choices: Choices = {
    ports: await choosePorts(port, isAlone),
    dataFolder: resolve(flags.data ?? join(projectFolder, ".holdfast")),
    estate: flags.estate ?? "default",
    hasDemo: !flags["no-demo"],
    json: flags.json ?? false,
    verbose: flags.verbose ?? false,
  };
  if (isAlone) await startHost(choices);
  else await startAll(choices);
});

/** One start at a time has the folder: two Azurites over one folder would destroy it. */
async function startAll(choices: Choices): Promise<void> {
  const { dataFolder, ports, estate } = choices;
  const lock = await acquireHubLock(localFolder(dataFolder));
  // Whoever looks for this stack must not find where an earlier one was.
  await rm(stackFile(dataFolder), { force: true });
  await untilEarlierOnesAreGone(dataFolder);
  await requireFreePorts(ports);
  const identityHeader = randomBytes(16).toString("hex");
  const serviceUrl = `http://127.0.0.1:${ports.host}`;
  let host: FunctionHost | undefined;
  const azure = new LocalAzure(
    { dataFolder, ports, estate, identityHeader, serviceUrl },
    {
      onNotice: (text) => notice(host, text),
      onLost: ({ message, hint }) => {
        process.stderr.write(`${message}\n${hint ?? ""}\n`);
        if (host) void endProcess(host, () => azure.stop(), 1);
      },
    },
  );
  const start = stopEarly(() => azure.stop());
  try {
    if (process.stderr.isTTY) process.stderr.write("Starting Azurite and the simulated Azure...\n");
    const running = await azure.start();
    const keyFile = await createLocalKey(dataFolder);
    Object.assign(process.env, serviceSettings(running, { identityHeader, keyFile, subscriptionIds: [SUBSCRIPTION] }));
    const token = await requestToken(running, "contributor");
    const facts = { ...choices, ...running, token };
    host = await startHost(choices, {
      onReady: (ready) => {
        start.over();
        sayReady(ready, facts, choices);
      },
      onStopped: () => azure.stop(),
      ...(!choices.json && { levels: TERSE }),
    });
    await lock.announce(serviceUrl);
    await writeStackFile(dataFolder, running, serviceUrl);
    if (choices.hasDemo) await setUpDemo(host, running);
  } catch (cause) {
    // Whoever was told to stop does, and says nothing of what that broke.
    if (start.isInterrupted()) return new Promise(() => {});
    await azure.stop();
    throw cause;
  }
}

async function untilEarlierOnesAreGone(dataFolder: string): Promise<void> {
  for (const folder of [azuriteFolder(dataFolder), azureFolder(dataFolder)]) {
    await (await acquireLockWithin(folder, EARLIER_ONES_MS)).release();
  }
}

/** Until the host takes over the signals: the first one ends in order what was started, and then this process. */
function stopEarly(stop: () => Promise<void>): { readonly over: () => void; readonly isInterrupted: () => boolean } {
  let isInterrupted = false;
  const over = onStopSignal((signal) => {
    isInterrupted = true;
    process.stderr.write("Stopping.\n");
    void stop().then(() => process.exit(exitCodeOf(signal)));
  });
  return { over, isInterrupted: () => isInterrupted };
}

function startHost(
  { ports, dataFolder, json, verbose }: Choices,
  more: Pick<RunHostOptions, "onReady" | "onStopped" | "levels"> = {},
): Promise<FunctionHost> {
  return runHost({
    app: { folder: projectFolder, entry: "functions/index.ts" },
    port: ports.host,
    dataFolder,
    keepFinishedDays: undefined,
    cors: undefined,
    enforcesKeys: false,
    checksSequence: false,
    json,
    verbose,
    ...more,
  });
}

function sayReady(host: FunctionHost, facts: StackFacts, { json, verbose, dataFolder }: Choices): void {
  const output = standardOutput();
  if (json) {
    output.write(stackLine(host, facts));
    return;
  }
  if (verbose) printBanner(host, { json, appFolder: projectFolder, dataFolder });
  output.write(stackText(host, facts, output.hasColors));
}

function notice(host: FunctionHost | undefined, text: string): void {
  if (host) host.log.write("warning", "Local", text);
  else process.stderr.write(`${text}\n`);
}

/** For commands that want this stack: where it is. No secrets. */
async function writeStackFile(
  dataFolder: string,
  { azureUrl, tenantId }: RunningLocalAzure,
  apiUrl: string,
): Promise<void> {
  await writeFile(stackFile(dataFolder), `${JSON.stringify({ apiUrl, azureUrl, tenantId })}\n`);
}

/** A demonstration that fails is no reason to end what works. */
async function setUpDemo(host: FunctionHost, running: RunningLocalAzure): Promise<void> {
  try {
    const demo = await setUpDemoVault(running);
    const text =
      demo === undefined
        ? 'No vault "demo": this estate has no group of that name.'
        : `The vault "demo" protects ${demo.protectedMachines.join(", ") || "nothing"}.` +
          (demo.newMachines.length > 0 ? " First backups are on their way; then one every few minutes." : "");
    host.log.write("information", "Local", text);
  } catch (cause) {
    host.log.write("warning", "Local", `The vault "demo" could not be set up: ${messageOf(cause)}`);
  }
}
