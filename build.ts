// `npm run build`: bundles the app into the one file that package.json's `main` points at, for a quick cold start.
// The bundle is an ES module, and some of its packages are CommonJS that calls `require` at run time, above all for
// `@azure/functions-core`, which exists only inside a Functions worker: the banner gives them a `require`.

import { stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { build } from "esbuild";
import packageJson from "./package.json" with { type: "json" };

const root = import.meta.dirname;

export async function bundleApp(outputFile: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: ["functions/index.ts"],
    outfile: outputFile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    external: ["@azure/functions-core"],
    banner: {
      js: [
        'import { createRequire as createRequireOfBundle } from "node:module";',
        "const require = createRequireOfBundle(import.meta.url);",
      ].join("\n"),
    },
    sourcemap: true,
    legalComments: "none",
    logLevel: "warning",
  });
}

if (import.meta.main) {
  const outputFile = join(root, packageJson.main);
  await bundleApp(outputFile);
  const { size: sizeBytes } = await stat(outputFile);
  console.log(`${relative(root, outputFile)}: ${Math.ceil(sizeBytes / 1024)} KiB`);
}
