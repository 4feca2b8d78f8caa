// `npm start`: this project's own app, from its sources, on the embedded host, and around it what it needs of Azure: Azurite
// and a simulated Azure with machines that live. All state is in one folder, everything listens on this machine alone.

import { randomBytes } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { EXIT_CODES, readFlags, runCommand, wholeNumber } from "./command-line.ts";
import { type LocalAzure, serviceSettings, startLocalAzure } from "./local-azure.ts";
import { createLocalKey } from "./local-key.ts";
import { choosePorts, type StackPorts } from "./local-ports.ts";
import { runHost } from "./run-host.ts";
import { acquireHubLock } from "./task-hub/journal/hub-lock.ts";

const projectFolder = dirname(import.meta.dirname);
const DEFAULT_PORT = 7071;
const SUBSCRIPTION = "11111111-1111-1111-1111-111111111111";
const HELP = `Runs Holdfast on this machine, and around it Azurite and a simulated Azure with machines to back up.

Usage: npm start -- [options]

  --port <n>      Listen on 127.0.0.1:<n>, and with the rest on the ports after it (default: ${DEFAULT_PORT}; 0: any)
  --data <folder> Keep all state here (default: .holdfast in the project)
  --estate <name> What the simulated Azure begins with: default, big, or a file
  --host-only     Only the host; its settings come from the environment, as in Azure
  --json          One JSON object a line instead of text
  --verbose       Everything the host and the app say, whatever host.json allows
  --help          This text

Ctrl-C stops: running functions get a few seconds, orchestrations go on at the next start. Twice: now.
Exit codes: ${EXIT_CODES}.
`;

interface Choices {
  readonly ports: StackPorts;
  readonly dataFolder: string;
  readonly estate: string;
  readonly json: boolean;
  readonly verbose: boolean;
}

await runCommand(async () => {
  const flags = readFlags({
    port: { type: "string" },
    data: { type: "string" },
    estate: { type: "string" },
    "host-only": { type: "boolean" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    help: { type: "boolean" },
  });
  if (flags.help) {
    process.stdout.write(HELP);
    return;
  }
  const port = wholeNumber("port", flags.port, 65_535) ?? DEFAULT_PORT;
  const isAlone = flags["host-only"] ?? false;
  const choices: Choices = {
    ports: await choosePorts(port, isAlone),
    dataFolder: resolve(flags.data ?? join(projectFolder, ".holdfast")),
    estate: flags.estate ?? "default",
    json: flags.json ?? false,
    verbose: flags.verbose ?? false,
  };
  if (isAlone) await startHost(choices);
  else await startAll(choices);
});

/** One start at a time has the folder: two Azurites over one folder would destroy it. */
async function startAll(choices: Choices): Promise<void> {
  const { dataFolder, ports, estate } = choices;
  const lock = await acquireHubLock(join(dataFolder, "local"));
  const identityHeader = randomBytes(16).toString("hex");
  const azure = await startLocalAzure({
    ...{ dataFolder, ports, estate, identityHeader },
    serviceUrl: `http://127.0.0.1:${ports.host}`,
    onNotice: (text) => process.stderr.write(`${text}\n`),
  });
  const keyFile = await createLocalKey(dataFolder);
  Object.assign(process.env, serviceSettings(azure, { identityHeader, keyFile, subscriptionIds: [SUBSCRIPTION] }));
  await startHost(choices, azure).catch(async (cause) => {
    await azure.stop();
    throw cause;
  });
  await lock.announce(`http://127.0.0.1:${ports.host}`);
}

function startHost({ ports, dataFolder, json, verbose }: Choices, azure?: LocalAzure): Promise<unknown> {
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
    ...(azure && { onStopped: () => azure.stop() }),
  });
}
