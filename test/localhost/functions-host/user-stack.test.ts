// Stacks of errors that were really thrown, by files really loaded from an app's folder, and lines as V8 writes them.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trimStack } from "../../../localhost/functions-host/user-stack.ts";

let app: string;
beforeAll(() => {
  app = realpathSync(mkdtempSync(join(tmpdir(), "holdfast (app) ")));
});
afterAll(() => rmSync(app, { recursive: true, force: true }));

function write(path: string, text: string): string {
  const file = join(app, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, text);
  return file;
}

async function stackOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    // Where the host stands in a real run, this test does here.
    const lines = (error as Error).stack?.split("\n").filter((line) => !line.includes("user-stack.test.ts"));
    return trimStack(lines?.join("\n") ?? "", app);
  }
  throw new Error("nothing was thrown");
}

describe("trimStack", () => {
  it("keeps the frames of a CommonJS app, with paths from its folder", async () => {
    const file = write(
      "src/mail.cjs",
      "exports.send = function send() {\n  [1].map(() => { throw new TypeError('full'); });\n};",
    );
    const { send } = createRequire(file)(file) as { send: () => void };
    expect(await stackOf(send)).toBe("TypeError: full\n    at src/mail.cjs:2:25\n    at send (src/mail.cjs:2:7)");
  });

  it("keeps the frames of an ESM app and of its async functions", async () => {
    const file = write(
      "src/mail.mjs",
      "export async function send() {\n  await null;\n  await deep();\n}\nasync function deep() {\n  await null;\n  throw new Error('full');\n}",
    );
    const { send } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { send: () => Promise<void> };
    expect(await stackOf(send)).toMatch(
      /^Error: full\n {4}at deep \(src\/mail\.mjs:7:9\)\n {4}at (async )?send \(src\/mail\.mjs:3:3\)$/,
    );
  });

  it("leaves out packages, unless they are all there is", async () => {
    const library = write(
      "node_modules/lib/index.cjs",
      "exports.call = (f) => f();\nexports.fail = () => { throw new Error('in lib'); };",
    );
    const file = write(
      "src/uses.cjs",
      `const lib = require(${JSON.stringify(library)});\nexports.run = () => lib.call(() => lib.fail());`,
    );
    const { run } = createRequire(file)(file) as { run: () => void };
    const stack = await stackOf(run);
    expect(stack).toContain("Error: in lib\n    at src/uses.cjs:2:40");
    expect(stack).not.toContain("node_modules");
    const { fail } = createRequire(library)(library) as { fail: () => void };
    expect(await stackOf(fail)).toContain("    at exports.fail (node_modules/lib/index.cjs:2:30)");
  });

  it("leaves out the host and Node, and what is no place in a file", () => {
    const host = fileURLToPath(new URL("../../../localhost/functions-host/invoker.ts", import.meta.url));
    const stack = [
      "Error: a",
      "    at new Promise (<anonymous>)",
      "    at async Promise.all (index 0)",
      "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
      "    at node:internal/main/run_main_module:28:49",
      `    at ModelInvoker.invoke (${host}:10:3)`,
      `    at async ${pathToFileURL(host).href}:12:3`,
      `    at Object.<anonymous> (${app}/index.js:1:7)`,
    ];
    expect(trimStack(stack.join("\n"), app)).toBe("Error: a\n    at Object.<anonymous> (index.js:1:7)");
  });

  it("keeps the message whole, whatever it looks like, and causes", () => {
    const stack = `Error: look\nat home\n    at run (${app}/a.js:1:1)\nCaused by: Error: deep\n    at dig (${app}/b.js:2:2)`;
    expect(trimStack(stack, app)).toBe(
      "Error: look\nat home\n    at run (a.js:1:1)\nCaused by: Error: deep\n    at dig (b.js:2:2)",
    );
  });

  it("keeps sources that a bundler names in its own way, and files beside the app", () => {
    const stack = "Error: a\n    at run (webpack://app/./src/mail.ts:3:9)\n    at other (/elsewhere/shared.js:1:1)";
    expect(trimStack(stack, app)).toBe(stack);
  });
});

describe("mapStacksToSources", () => {
  it("makes a bundle tell of the TypeScript that it was built from", () => {
    write(
      "lib/mail.ts",
      "interface Mail { to: string }\n\nexport function send(mail: Mail): never {\n  throw new Error('no ' + mail.to);\n}\n",
    );
    const entry = write(
      "lib/index.ts",
      "import { send } from './mail.ts';\nexport const run = () => send({ to: 'x' });\n",
    );
    buildSync({
      entryPoints: [entry],
      outfile: join(app, "dist/index.mjs"),
      bundle: true,
      format: "esm",
      minify: true,
      sourcemap: true,
    });
    const stackModule = new URL("../../../localhost/functions-host/user-stack.ts", import.meta.url).href;
    const script = `
      import { mapStacksToSources, trimStack } from ${JSON.stringify(stackModule)};
      mapStacksToSources();
      const { run } = await import(${JSON.stringify(pathToFileURL(join(app, "dist/index.mjs")).href)});
      try { run(); } catch (error) { console.log(trimStack(error.stack, ${JSON.stringify(app)})); }`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" });
    expect(stdout).toMatch(/^Error: no x\n {4}at .*lib\/mail\.ts:4:9\)?\n {4}at .*lib\/index\.ts:2:\d+\)?/);
  });
});
