// Tests mirror the source tree under test/. They use real sockets, processes and files, hence the patient timeouts:
// a slow machine is no failure, a hanging test is.

import { defineConfig } from "vitest/config";

const inCi = process.env.CI !== undefined && process.env.CI !== "";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Sample apps are data of tests, not tests.
    exclude: ["test/apps/**", "**/node_modules/**"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // The machine-readable report is what .ci/run counts from.
    reporters: inCi ? ["default", ["json", { outputFile: ".vitest-report.json" }]] : ["default"],
  },
});
