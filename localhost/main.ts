// `npm start`: this project's own app, from its sources, on the embedded host, with all its state in one folder.

import { dirname, join } from "node:path";
import { EXIT_CODES, readFlags, runCommand, wholeNumber } from "./command-line.ts";
import { runHost } from "./run-host.ts";

const projectFolder = dirname(import.meta.dirname);
const DEFAULT_PORT = 7071;
const HELP = `Runs Holdfast on this machine.

Usage: npm start -- [options]

  --port <n>      Listen on 127.0.0.1:<n> (default: ${DEFAULT_PORT}; 0: any)
  --data <folder> Keep all state here (default: .holdfast in the project)
  --json          One JSON object a line instead of text
  --verbose       Everything the host and the app say, whatever host.json allows
  --help          This text

Ctrl-C stops: running functions get a few seconds, orchestrations go on at the next start. Twice: now.
Exit codes: ${EXIT_CODES}.
`;

await runCommand(async () => {
  const flags = readFlags({
    port: { type: "string" },
    data: { type: "string" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    help: { type: "boolean" },
  });
  if (flags.help) {
    process.stdout.write(HELP);
    return;
  }
  await runHost({
    app: { folder: projectFolder, entry: "functions/index.ts" },
    port: wholeNumber("port", flags.port, 65_535) ?? DEFAULT_PORT,
    dataFolder: flags.data ?? join(projectFolder, ".holdfast"),
    keepFinishedDays: undefined,
    cors: undefined,
    enforcesKeys: false,
    checksSequence: false,
    json: flags.json ?? false,
    verbose: flags.verbose ?? false,
  });
});
