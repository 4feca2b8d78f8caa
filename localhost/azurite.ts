// Azurite's three services as a process that ends in order when its parent is gone: killed without warning it would lose
// writes that it has acknowledged. Takes Azurite's own options.

import { createRequire } from "node:module";
import { endWithParent } from "./with-parent.ts";

endWithParent();
createRequire(import.meta.url)("azurite/dist/src/azurite.js");
