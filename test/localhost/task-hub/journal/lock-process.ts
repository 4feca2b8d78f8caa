// A process that tries to hold a data folder and says how that went: `held`, or `refused <message>`. It holds on until it
// is killed or its input ends. Arguments: folder, url to announce; "careless" drops the lock's object and collects garbage.

import { acquireHubLock } from "../../../../localhost/task-hub/journal/hub-lock.ts";
import { HoldfastFailure } from "../../../../src/base/failure.ts";

const [folder, url, careless] = process.argv.slice(2);
try {
  if (careless === undefined) await (await acquireHubLock(folder as string)).announce(url as string);
  else await acquireHubLock(folder as string);
  for (let turn = 0; turn < 5; turn++) {
    global.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  process.stdout.write("held\n");
  process.stdin.resume();
} catch (error) {
  if (!(error instanceof HoldfastFailure)) throw error;
  process.stdout.write(`refused ${error.kind} ${error.message} ${error.hint}\n`);
}
