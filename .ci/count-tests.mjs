// Prints "N passed, N failed, N skipped" from Vitest's JSON report. Fails if a test failed or none passed, and counts a
// file that could not be loaded as one failed test: its tests never ran. Plain JavaScript for any Node from 20 on.

import { readFileSync } from "node:fs";

const [reportFile] = process.argv.slice(2);

let report;
try {
  report = JSON.parse(readFileSync(reportFile, "utf8"));
} catch (error) {
  console.log(`No test report: ${error.message}`);
  report = { testResults: [] };
}

const counts = { passed: 0, failed: 0, skipped: 0 };
for (const file of report.testResults) {
  for (const { status } of file.assertionResults) {
    counts[status === "passed" || status === "failed" ? status : "skipped"] += 1;
  }
  if (file.status === "failed" && !file.assertionResults.some(({ status }) => status === "failed")) counts.failed += 1;
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
