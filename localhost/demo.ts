// `npm run demo`: one backup and one restore, end to end, through the API as any client has it, and the proof that what comes
// back is what was there: the snapshot is read by SAS and then deleted, so that the restore has nothing but the vault.

import { dirname, join, resolve } from "node:path";
import { HoldfastFailure } from "../src/base/failure.ts";
import { readFlags, runCommand } from "./command-line.ts";
import { Demo, summaryOf } from "./demo-run.ts";
import { findStack, type StackPlace } from "./found-stack.ts";
import { startOwnStack } from "./own-stack.ts";
import { onStopSignal } from "./stop-signals.ts";

const HELP = `Backs one machine up, loses its snapshot on purpose, restores it from the vault, and compares every byte.

Usage: npm run demo -- [options]

  --machine <name> Which machine of the group "demo" (default: web-01)
  --data <folder>  Use the stack that runs over this folder (default: .holdfast in the project). When none does, a stack of
                   its own is started in a temporary folder, and removed afterwards
  --keep           Leave the restored disks where they are
  --json           The result as one JSON object
  --help           This text

Exit codes: 0 every byte is equal, 1 it is not, or something failed, 2 the command line is wrong.
`;

await runCommand(async () => {
  const flags = readFlags({
    machine: { type: "string" },
    data: { type: "string" },
    keep: { type: "boolean" },
    json: { type: "boolean" },
    help: { type: "boolean" },
  });
  if (flags.help) {
    process.stdout.write(HELP);
    return;
  }
  const dataFolder = resolve(flags.data ?? join(dirname(import.meta.dirname), ".holdfast"));
  const machine = flags.machine ?? "web-01";
  const keep = flags.keep ?? false;
  await withStack(dataFolder, keep, async (place) => {
    const result = await new Demo(place, machine).run(keep);
    const text = flags.json ? JSON.stringify(result) : `All bytes are equal. ${summaryOf(result)}`;
    process.stdout.write(`${text}\n`);
  });
});

async function withStack(dataFolder: string, keep: boolean, work: (place: StackPlace) => Promise<void>): Promise<void> {
  const running = await findStack(dataFolder);
  if (running) {
    process.stderr.write(`Using the stack at ${running.apiUrl}, which runs over ${dataFolder}.\n`);
    return work(running);
  }
  if (keep) {
    throw new HoldfastFailure(
      "invalid",
      "BadArguments",
      "--keep takes a stack that stays: run npm start beside this.",
      {
        hint: "See --help.",
      },
    );
  }
  process.stderr.write("No stack runs here: starting one for this demonstration...\n");
  const own = startOwnStack();
  // The stack gets the terminal's Ctrl-C too; waiting for its end leaves nothing behind.
  const over = onStopSignal(() => void own.then(({ stop }) => stop()).finally(() => process.exit(130)));
  const { place, stop } = await own;
  try {
    await work(place);
  } finally {
    over();
    await stop();
  }
}
