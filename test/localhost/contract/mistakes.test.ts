// Code that Azure breaks on silently or late. Here each of these fails, with a message that says what to change.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

const MISTAKES: readonly (readonly [name: string, what: string, advice: RegExp])[] = [
  [
    "reuse-in-compound",
    "a yielded event in a later compound task",
    /event 'never'.*already been yielded.*Create each task once/s,
  ],
  [
    "reuse-activity-in-compound",
    "a yielded activity in a later compound task",
    /activity 'slow'.*Create each task once/s,
  ],
  ["same-task-twice", "one task twice in a compound task", /activity 'double'.*twice into the same one/s],
  ["async-generator", "an async generator", /programming constraint violation.*`function\*`/s],
  ["async-function", "an async function", /must be a generator.*`function\*`/s],
  ["plain-function", "a plain function", /must be a generator.*`function\*`/s],
  ["yield-promise", "a promise that is yielded", /Only Task types can be yielded/],
  ["yield-number", "a number that is yielded", /Only Task types can be yielded/],
  ["yield-signal", "a signal that is yielded", /Please remove the yield statement/],
  ["no-tasks", "a compound task of nothing", /specify at least one Task/],
  ["changes-its-mind", "another step at replay", /on replay it asked for.*where it had asked for.*currentUtcDateTime/s],
  ["asks-for-less", "a step less at replay", /on replay it no longer asked for activity 'double'/],
  ["wordy-status", "a custom status of 18 KB", /custom status is larger than 16 KB.*Store the data elsewhere/s],
  ["start-itself", "a child with its own id", /its own or its parent's instance id.*Choose another id/s],
  ["bad-child-id", "a child with an invalid id", /invalid instance id.*must not/s],
  ["unknown-child", "a child that does not exist", /'chidl' doesn't exist.*Orchestrators of this app: .*child/s],
  ["bad-date", "a timer without a date", /timer with an invalid date/],
  ["return-circle", "a result with a circle", /result.*circular/is],
  ["return-bigint", "a result that is no JSON", /result.*BigInt/is],
  ["status-circle", "a custom status with a circle", /custom status.*circular/is],
  ["activity-input-circle", "an input with a circle", /input.*circular/is],
  ["continue-with-circle", "a next generation's input with a circle", /input.*circular/is],
];

describe("a mistake in an orchestrator fails the instance and says what to change:", () => {
  it.each(MISTAKES)("%s: %s", async (name, _what, advice) => {
    const message = await app.failureOf(name);
    expect(message).toMatch(new RegExp(`^Orchestrator function '${name}' failed: `));
    expect(message).toMatch(advice);
  });
});
