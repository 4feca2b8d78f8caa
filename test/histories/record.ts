// Writes the histories of this folder anew: `node test/histories/record.ts`. Only for orchestrations that have not been
// released, or under new names: what a released version has begun must replay for ever.

import { rmSync, writeFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import { recordHistories } from "../support/recorded-histories.ts";

const folder = import.meta.dirname;
for await (const file of glob("*.json", { cwd: folder })) rmSync(join(folder, file));
for (const [name, recording] of await recordHistories()) {
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(recording)}\n`);
}
