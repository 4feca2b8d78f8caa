// `node localhost/host.ts`: the embedded Functions host for any app of the Node v4 model, from the command line.
// Words for people live here; what the host does lives in functions-host/.

import { EXIT_CODES, readFlags, runCommand, wholeNumber } from "./command-line.ts";
import { runHost } from "./run-host.ts";

const HELP = `Runs an Azure Functions app (Node.js programming model v4) with its own Durable Task engine.

Usage: node localhost/host.ts --app <folder> [options]

  --app <folder>       The folder with the app's package.json and host.json (default: the current folder)
  --entry <file>       Load this file or glob instead of package.json's "main"; TypeScript is fine
  --port <n>           Listen on 127.0.0.1:<n> (default: Host.LocalHttpPort of local.settings.json, else 7071; 0: any)
  --data <folder>      Keep all state here (default: <app>/.holdfast-host)
  --keep-days <n>      Purge orchestrations that ended this many days ago (default: 30; 0 keeps them)
  --cors <origins>     Let web pages of these origins call the functions, comma-separated
  --enable-auth        Enforce authLevel with the keys in <data>/keys.json
  --json               One JSON object a line instead of text
  --verbose            Everything the host and the app say, whatever host.json allows
  --help               This text

Ctrl-C stops: running functions get a few seconds, orchestrations go on at the next start. Twice: now.
Exit codes: ${EXIT_CODES}.
`;

await runCommand(async () => {
  const flags = readFlags({
    app: { type: "string" },
    entry: { type: "string" },
    port: { type: "string" },
    data: { type: "string" },
    "keep-days": { type: "string" },
    cors: { type: "string" },
    "enable-auth": { type: "boolean" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    // For the project's own tests: compares the durable library's ids with the engine's at every step.
    "check-ids": { type: "boolean" },
    help: { type: "boolean" },
  });
  if (flags.help) {
    process.stdout.write(HELP);
    return;
  }
  const folder = flags.app ?? ".";
  await runHost({
    app: flags.entry === undefined ? { folder } : { folder, entry: flags.entry },
    port: wholeNumber("port", flags.port, 65_535),
    dataFolder: flags.data ?? `${folder}/.holdfast-host`,
    keepFinishedDays: wholeNumber("keep-days", flags["keep-days"], 36_500),
    cors: flags.cors === undefined ? undefined : { origins: flags.cors.split(","), credentials: false },
    enforcesKeys: flags["enable-auth"] ?? false,
    checksSequence: flags["check-ids"] ?? false,
    json: flags.json ?? false,
    verbose: flags.verbose ?? false,
  });
});
