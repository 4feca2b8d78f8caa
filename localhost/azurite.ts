// Azurite's three services as a process that ends in order when its parent is gone: killed without warning it would lose
// writes that it has acknowledged. Two over one folder would destroy it, so the folder is locked; one of an earlier start that
// is still on its way out is waited for. Takes Azurite's own options.

import { createRequire } from "node:module";
import { acquireLockWithin } from "./patient-lock.ts";
import { endWithParent } from "./with-parent.ts";

const EARLIER_ONE_MS = 20_000;

endWithParent();
const folder = process.argv[process.argv.indexOf("--location") + 1] ?? ".";
await acquireLockWithin(folder, EARLIER_ONE_MS);
createRequire(import.meta.url)("azurite/dist/src/azurite.js");
