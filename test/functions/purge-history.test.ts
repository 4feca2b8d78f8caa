// What the timer of that name does to a hub, with the real client against the embedded host. A week is too long for a test, so
// the timer is told a later time.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { purgeHistory } from "../../functions/purge-history.ts";
import { type ContractApp, startContractApp } from "../support/contract-app.ts";

const WEEK_MS = 7 * 24 * 3_600_000;

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

const isThere = async (id: string): Promise<boolean> => (await app.api(`instances/${id}`)).status !== 404;

describe("purging the history of orchestrations", () => {
  it("forgets those that have ended and were started a week ago, however they ended, and no others", async () => {
    const completed = await app.run("own-input", 1);
    const failed = await app.run("throw-at-once");
    const terminated = await app.client.startNew("wait-for-ever");
    await app.client.terminate(terminated, "enough");
    await app.ended(terminated);
    const running = await app.client.startNew("wait-for-ever");
    const slow = await app.client.startNew("wait-for-ever");
    await Promise.all([running, slow].map((id) => app.reaches(id, "Running")));
    const aWeekAgo = Date.now();
    await expect.poll(() => Date.now()).toBeGreaterThan(aWeekAgo);
    const young = await app.run("own-input", 1);
    await app.client.terminate(slow, "it ends late");
    await app.ended(slow);

    const now = new Date(aWeekAgo + WEEK_MS);
    expect(await purgeHistory(app.client, now)).toEqual({ instancesDeleted: 4 });
    for (const id of [completed.instanceId, failed.instanceId, terminated, slow]) expect(await isThere(id)).toBe(false);
    for (const id of [running, young.instanceId]) expect(await isThere(id)).toBe(true);
    expect(await purgeHistory(app.client, now)).toEqual({ instancesDeleted: 0 });
    await app.reaches(running, "Running");
  });
});
