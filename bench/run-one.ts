// The child process of one bench: `node bench/run-one.ts <file> <export>`. It sends the rows to its parent and ends;
// what it throws becomes a failed row there. Started by main.ts only.

import { pathToFileURL } from "node:url";
import type { Bench } from "./bench.ts";

const [file, exportName] = process.argv.slice(2);
if (file === undefined || exportName === undefined || process.send === undefined) {
  throw new Error("run-one.ts is started by bench/main.ts");
}
const benches: Record<string, Bench | undefined> = await import(pathToFileURL(file).href);
const bench = benches[exportName];
if (bench === undefined) throw new Error(`${file} exports no bench named ${exportName}`);

process.send(await bench.run(), () => process.exit(0));
