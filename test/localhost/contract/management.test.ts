// Managing instances with the real client: through `rpcBaseUrl`, as current extensions offer it, and through the
// management URLs, as clients do that were given none.

import type { DurableClient, HttpManagementPayload } from "durable-functions";
import { OrchestrationRuntimeStatus } from "durable-functions";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ContractApp, type Status, startContractApp } from "../../support/contract-app.ts";

let app: ContractApp;
beforeAll(async () => {
  app = await startContractApp();
});
afterAll(() => app.host.stop());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function startMany(count: number, name: string, input: unknown, prefix: string): Promise<string[]> {
  const starts = Array.from({ length: count }, async (_, n) => {
    const path = `orchestrators/${name}/${prefix}${n}`;
    const response = await app.api(path, { method: "POST", body: JSON.stringify(input) });
    return ((await response.json()) as { id: string }).id;
  });
  return Promise.all(starts);
}

describe.each<[how: string, (app: ContractApp) => DurableClient]>([
  ["through rpcBaseUrl", (app) => app.client],
  ["through the management URLs", (app) => app.clientWithoutRpc()],
])("a client %s", (how, clientOf) => {
  let client: DurableClient;
  const prefix = how.includes("rpc") ? "rpc-" : "links-";
  beforeAll(() => {
    client = clientOf(app);
  });

  it("starts an instance with an input and an id, and sees its status", async () => {
    const id = await client.startNew("double-again", { input: { start: 1, times: 2 }, instanceId: `${prefix}one` });
    expect(id).toBe(`${prefix}one`);
    await app.ended(id);
    const status = await client.getStatus(id);
    expect(status).toMatchObject({ name: "double-again", instanceId: id, output: 4, input: { start: 1, times: 2 } });
    expect(Math.abs(status.createdTime.getTime() - Date.now())).toBeLessThan(60_000);
    expect(status.lastUpdatedTime.getTime()).toBeGreaterThanOrEqual(status.createdTime.getTime());
  });

  it("gets an id of 32 hex digits when it chooses none", async () => {
    expect(await client.startNew("wait-for-ever")).toMatch(/^[0-9a-f]{32}$/);
  });

  it("hears that an instance is unknown", async () => {
    await expect(client.getStatus("nobody")).rejects.toThrow(/404.*No instance with ID 'nobody' found/s);
  });

  it("sees the custom status change while the instance runs", async () => {
    const id = await client.startNew("tell-progress");
    await app.until(id, ({ customStatus }) => customStatus !== null);
    expect((await client.getStatus(id)).customStatus).toEqual({ step: "started" });
    await client.raiseEvent(id, "word", "hello");
    await app.until(id, ({ customStatus }) => customStatus === "heard hello");
    await client.raiseEvent(id, "word", "bye");
    expect(await app.ended(id)).toMatchObject({ output: "done", customStatus: "heard hello" });
  });

  it("suspends: nothing goes on and nothing is lost, until it resumes", async () => {
    const id = await client.startNew("listen", { input: 3 });
    await client.raiseEvent(id, "word", "before");
    await client.suspend(id, "to have a look");
    await app.reaches(id, "Suspended");
    await client.raiseEvent(id, "word", "during");
    await client.raiseEvent(id, "word", "during too");
    await pause(50);
    expect((await client.getStatus(id)).runtimeStatus).toBe("Suspended");
    await client.resume(id, "seen enough");
    expect((await app.ended(id)).output).toEqual(["before", "during", "during too"]);
  });

  it("suspends twice and resumes once: the instance goes on", async () => {
    const id = await client.startNew("listen", { input: 1 });
    await app.reaches(id, "Running");
    await client.suspend(id, "once");
    await client.suspend(id, "twice");
    await app.reaches(id, "Suspended");
    await client.resume(id, "go on");
    await client.raiseEvent(id, "word", "free");
    expect((await app.ended(id)).output).toEqual(["free"]);
  });

  it("keeps what activities answer while suspended", async () => {
    const id = await client.startNew("fan-out", { input: 30 });
    await client.suspend(id, "in the middle");
    await pause(50);
    await client.resume(id, "go on");
    expect(((await app.ended(id)).output as number[]).length).toBe(30);
  });

  it("cannot resume what is not suspended", async () => {
    const id = await client.startNew("wait-for-ever");
    await app.reaches(id, "Running");
    await expect(client.resume(id, "why not")).rejects.toThrow(/it is Running, not Suspended/);
  });

  it("terminates with the reason as output, and may do so twice", async () => {
    const id = await client.startNew("wait-for-ever");
    await client.terminate(id, "long enough: ünïcödé");
    expect(await app.ended(id)).toMatchObject({ runtimeStatus: "Terminated", output: "long enough: ünïcödé" });
    await client.terminate(id, "again");
    expect((await client.getStatus(id)).output).toBe("long enough: ünïcödé");
  });

  it("terminates what is suspended", async () => {
    const id = await client.startNew("wait-for-ever");
    await client.suspend(id, "pause");
    await app.reaches(id, "Suspended");
    await client.terminate(id, "for good");
    expect((await app.ended(id)).output).toBe("for good");
  });

  it("is told when what it wants to stop is unknown", async () => {
    for (const operation of ["terminate", "suspend", "resume"] as const) {
      await expect(client[operation]("nobody", "x")).rejects.toThrow("No instance with ID 'nobody' found");
    }
  });

  it("purges one ended instance, and neither a running nor an unknown one", async () => {
    const ended = await client.startNew("double-again", { input: { start: 1, times: 1 } });
    await app.ended(ended);
    expect(await client.purgeInstanceHistory(ended)).toEqual({ instancesDeleted: 1 });
    await expect(client.getStatus(ended)).rejects.toThrow("404");
    expect(await client.purgeInstanceHistory(ended)).toEqual({ instancesDeleted: 0 });
    const running = await client.startNew("wait-for-ever");
    await app.reaches(running, "Running");
    expect(await client.purgeInstanceHistory(running)).toEqual({ instancesDeleted: 0 });
    expect((await client.getStatus(running)).runtimeStatus).toBe("Running");
  });

  it("purges by time and status", async () => {
    const from = new Date();
    const completed = await startMany(3, "own-input", 1, `${prefix}purge-`);
    const failed = await app.run("throw-at-once");
    const running = await client.startNew("wait-for-ever");
    await Promise.all(completed.map((id) => app.ended(id)));
    await pause(5);
    const to = new Date();
    await pause(5);
    const after = await app.run("own-input", 1);

    const filter = { createdTimeFrom: from, createdTimeTo: to };
    const onlyCompleted = { ...filter, runtimeStatus: [OrchestrationRuntimeStatus.Completed] };
    expect(await client.purgeInstanceHistoryBy(onlyCompleted)).toEqual({ instancesDeleted: 3 });
    expect(await client.purgeInstanceHistoryBy(onlyCompleted)).toEqual({ instancesDeleted: 0 });
    expect(await client.purgeInstanceHistoryBy(filter)).toEqual({ instancesDeleted: 1 });
    await expect(client.getStatus(failed.instanceId)).rejects.toThrow("404");
    for (const id of [running, after.instanceId]) expect((await client.getStatus(id)).instanceId).toBe(id);
  });

  it("lists by status and by time of creation", async () => {
    const from = new Date();
    const running = await startMany(4, "wait-for-ever", 1, `${prefix}list-`);
    const completed = (await app.run("own-input", 1)).instanceId;
    await pause(5);
    const to = new Date();
    await pause(5);
    await app.run("own-input", 1);
    const idsBy = async (runtimeStatus: OrchestrationRuntimeStatus[]): Promise<string[]> => {
      const found = await client.getStatusBy({ createdTimeFrom: from, createdTimeTo: to, runtimeStatus });
      return found.map(({ instanceId }) => instanceId).toSorted();
    };
    const { Running, Pending, Completed, Failed } = OrchestrationRuntimeStatus;
    expect(await idsBy([Running, Pending])).toEqual(running.toSorted());
    expect(await idsBy([Completed])).toEqual([completed]);
    expect(await idsBy([Running, Pending, Completed])).toEqual([...running, completed].toSorted());
    expect(await idsBy([Failed])).toEqual([]);
  });

  it("gets all instances though they come in pages, each once", async () => {
    const ids = await startMany(250, "own-input", 1, `${prefix}page-`);
    const all = await client.getStatusAll();
    const seen = all.map(({ instanceId }) => instanceId);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(ids));
  });

  it("rewinds what failed: what had succeeded is not run again, failed children are rewound with it", async () => {
    const id = await client.startNew("fails-on-the-way", { instanceId: `${prefix}rewound` });
    expect((await app.ended(id)).output).toContain("attempt 1 of child/");
    await client.rewind(id, "the child is mended");
    const again = await app.until(id, ({ output }) => String(output).includes("own/"), "its second failure");
    expect(again.runtimeStatus).toBe("Failed");
    await client.rewind(id, "all is mended");
    expect(await app.ended(id)).toMatchObject({ runtimeStatus: "Completed", output: { once: 1, child: 2, own: 2 } });
  });

  it("cannot rewind what has not failed, what was retried, or what is unknown", async () => {
    const running = await client.startNew("wait-for-ever");
    await app.reaches(running, "Running");
    await expect(client.rewind(running, "x")).rejects.toThrow(/only supported on failed.*is Running/);
    const completed = (await app.run("own-input", 1)).instanceId;
    await expect(client.rewind(completed, "x")).rejects.toThrow(/410.*it is Completed/s);
    const retried = (await app.run("retry", { failures: 9, attempts: 2 })).instanceId;
    await expect(client.rewind(retried, "x")).rejects.toThrow(/was retried.*Start a new instance/);
    await expect(client.rewind("nobody", "x")).rejects.toThrow("No instance with ID 'nobody' found");
  });

  it("makes links that all work", async () => {
    const id = await client.startNew("fails-on-the-way", { instanceId: `${prefix}linked` });
    await app.ended(id);
    // The library's type leaves the restart link out.
    const links = client.createHttpManagementPayload(id) as HttpManagementPayload & { restartPostUri: string };
    const post = async (link: string, values: Record<string, string>, body?: unknown): Promise<number> => {
      const url = link.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
      const headers = { "content-type": "application/json" };
      const response = await fetch(url, {
        method: "POST",
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return response.status;
    };
    expect((await fetch(links.statusQueryGetUri)).status).toBe(200);
    expect(await post(links.rewindPostUri, { text: "mended" })).toBe(202);
    await app.until(id, ({ output }) => String(output).includes("own/"));
    expect(await post(links.restartPostUri, {})).toBe(202);
    expect((await fetch(links.purgeHistoryDeleteUri, { method: "DELETE" })).status).toBe(200);
    expect((await fetch(links.statusQueryGetUri)).status).toBe(404);

    const listener = client.createHttpManagementPayload(await client.startNew("listen", { input: 2 }));
    expect(await post(listener.suspendPostUri, { text: "wait" })).toBe(202);
    expect(await post(listener.sendEventPostUri, { eventName: "word" }, "one")).toBe(202);
    expect(await post(listener.resumePostUri, { text: "go" })).toBe(202);
    await app.until(listener.id, ({ runtimeStatus }) => runtimeStatus === "Running");
    expect(await post(listener.terminatePostUri, { text: "enough" })).toBe(202);
    expect((await app.ended(listener.id)).output).toBe("enough");
  });
});

describe("an id that is taken", () => {
  it("is refused with 409 and 'already exists' while its instance runs, and free again when it has ended", async () => {
    await app.client.startNew("listen", { input: 1, instanceId: "single" });
    const refused = await app.api("orchestrators/listen/single", { method: "POST", body: "1" });
    expect(refused.status).toBe(409);
    const body = (await refused.json()) as { Message: string; ExceptionMessage: string };
    expect(body.ExceptionMessage).toMatch(
      /^An Orchestration instance with the status (Pending|Running) already exists\.$/,
    );
    await expect(app.client.startNew("listen", { instanceId: "single" })).rejects.toThrow("already exists");
    await app.client.raiseEvent("single", "word", "first life");
    await app.ended("single");
    await app.client.startNew("own-input", { input: "second life", instanceId: "single" });
    expect(await app.ended("single")).toMatchObject({ name: "own-input", output: "second life" });
  });

  it("is given to one of many who ask at once", async () => {
    const body = "1";
    const starts = Array.from({ length: 20 }, () =>
      app.api("orchestrators/listen/contested", { method: "POST", body }),
    );
    const statuses = (await Promise.all(starts)).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([202, ...Array.from({ length: 19 }, () => 409)]);
  });
});

describe("the history of an instance", () => {
  it("tells each step once, folded into its answer, without inputs, outputs or ids nobody asked for", async () => {
    const id = await app.start("parent-of-named", { input: "history-child" });
    await app.ended(id);
    const withOutput = await app.history(id);
    expect(withOutput.map(({ EventType }) => EventType)).toEqual([
      "ExecutionStarted",
      "SubOrchestrationInstanceCompleted",
      "ExecutionCompleted",
    ]);
    const [started, child, completed] = withOutput;
    expect(started).toMatchObject({ FunctionName: "parent-of-named", Input: '"history-child"' });
    const result = expect.objectContaining({ doubled: 42, id: "history-child" });
    expect(child).toMatchObject({ FunctionName: "child", Input: "21", Result: result });
    expect(Date.parse(String(child?.ScheduledTime))).toBeLessThanOrEqual(Date.parse(child?.Timestamp ?? ""));
    expect(completed).toMatchObject({ OrchestrationStatus: "Completed", Result: result });

    const query = "?showHistory=true&showInput=false";
    const { historyEvents = [], input } = await app.status("history-child", query);
    expect(input).toBeNull();
    expect(historyEvents.map(({ EventType }) => EventType)).toEqual([
      "ExecutionStarted",
      "TaskCompleted",
      "ExecutionCompleted",
    ]);
    const fields = new Set(historyEvents.flatMap((event) => Object.keys(event)));
    for (const hidden of ["Input", "Result", "EventId", "IsPlayed", "TaskScheduledId", "TimerId", "Version"]) {
      expect(fields).not.toContain(hidden);
    }
    expect((await app.status(id)).historyEvents).toBeUndefined();
  });

  it("tells an activity's input as the list of its arguments, and why it failed", async () => {
    const { instanceId } = await app.run("do-not-catch", "told in history");
    const [, failed, completed] = await app.history(instanceId);
    expect(failed).toMatchObject({
      EventType: "TaskFailed",
      FunctionName: "fail",
      Input: '["told in history"]',
      Reason: "Activity function 'fail' failed: told in history",
    });
    expect(completed).toMatchObject({ EventType: "ExecutionCompleted", OrchestrationStatus: "Failed" });
  });

  it("tells what is still under way, timers and events", async () => {
    const id = await app.start("race", { input: { ms: 3_600_000, cancels: false } });
    await app.client.raiseEvent(id, "go", { to: "bed" });
    await expect.poll(async () => (await app.history(id)).length).toBe(3);
    const [, timer, event] = await app.history(id);
    expect(timer).toMatchObject({ EventType: "TimerCreated" });
    expect(Date.parse(String(timer?.FireAt))).toBeGreaterThan(Date.now());
    expect(event).toMatchObject({ EventType: "EventRaised", Name: "go", Input: '{"to":"bed"}' });
  });

  it("is empty for the library, which looks for it under another name than the API gives it", async () => {
    const { instanceId } = await app.run("own-input", 1);
    const status = await app.client.getStatus(instanceId, { showHistory: true });
    expect(status.history).toBeUndefined();
  });
});

describe("listing over the API", () => {
  it("continues where the token says, in pages of the size asked for", async () => {
    const ids = await startMany(11, "own-input", 1, "token-");
    const seen: string[] = [];
    let token: string | undefined;
    let pages = 0;
    do {
      const response = await app.api("instances/?instanceIdPrefix=token-&top=4", {
        headers: token === undefined ? {} : { "x-ms-continuation-token": token },
      });
      const page = (await response.json()) as Status[];
      expect(page.length).toBeLessThanOrEqual(4);
      seen.push(...page.map(({ instanceId }) => instanceId));
      token = response.headers.get("x-ms-continuation-token") ?? undefined;
      pages++;
    } while (token !== undefined && pages < 10);
    expect(seen.toSorted()).toEqual(ids.toSorted());
    expect(pages).toBe(3);
  });

  it("leaves inputs out when asked to", async () => {
    await app.client.startNew("own-input", { input: "secret", instanceId: "no-input-1" });
    const response = await app.api("instances/?instanceIdPrefix=no-input-&showInput=false");
    expect(await response.json()).toMatchObject([{ instanceId: "no-input-1", input: null }]);
  });
});

describe("create and wait", () => {
  const start = (name: string, query: string, body = "null"): Promise<Response> =>
    app.api(`orchestrators/${name}?${query}`, { method: "POST", body });

  it("answers with the output of what ends in time, and with links otherwise", async () => {
    const quick = await start("double-again", "timeout=10&pollingInterval=1", '{"start":1,"times":4}');
    expect([quick.status, await quick.json()]).toEqual([200, 16]);
    const slow = await start("wait-for-ever", "timeout=0.05&pollingInterval=0.01");
    expect(slow.status).toBe(202);
    expect(await slow.json()).toHaveProperty("statusQueryGetUri");
  });

  it("answers with the status of what failed, or was terminated", async () => {
    const failed = await start("throw-at-once", "timeout=10");
    expect([failed.status, await failed.json()]).toEqual([200, expect.objectContaining({ runtimeStatus: "Failed" })]);
    const waiting = start("wait-for-ever/ended-by-hand", "timeout=10");
    await app.reaches("ended-by-hand", "Running");
    await app.client.terminate("ended-by-hand", "waited enough");
    const terminated = await waiting;
    expect(terminated.status).toBe(200);
    expect(await terminated.json()).toMatchObject({ runtimeStatus: "Terminated", output: "waited enough" });
  });
});

describe("the create-and-wait address in the client binding", () => {
  it("works when its parts are filled in", async () => {
    const { creationUrls } = app.binding as { creationUrls: Record<string, string> };
    const url = String(creationUrls.createAndWaitOnNewInstancePostUri)
      .replace("{functionName}", "own-input")
      .replace("[/{instanceId}]", "/by-address")
      .replace("{timeoutInSeconds}", "10")
      .replace("{intervalInSeconds}", "1");
    const response = await fetch(url, { method: "POST", body: '"waited for"' });
    expect([response.status, await response.json()]).toEqual([200, "waited for"]);
    expect((await app.status("by-address")).runtimeStatus).toBe("Completed");
  });
});

describe("what the library does with ids and options", () => {
  it("breaks the links of an id with '$&', and the answer to such a link says so", async () => {
    await app.client.startNew("own-input", { input: 1, instanceId: "a$&b" });
    expect((await app.ended("a$&b")).output).toBe(1);
    const { statusQueryGetUri } = app.client.createHttpManagementPayload("a$&b");
    const response = await fetch(statusQueryGetUri);
    expect([response.status, await response.text()]).toEqual([404, expect.stringContaining("'$&'")]);
  });

  it("tells the host to leave inputs out only when it has no rpcBaseUrl", async () => {
    const { instanceId } = await app.run("own-input", "shown");
    const hidden = { showInput: false };
    expect((await app.clientWithoutRpc().getStatus(instanceId, hidden)).input).toBeNull();
    expect((await app.client.getStatus(instanceId, hidden)).input).toBe("shown");
  });

  it("takes ids with blanks, dots, percent signs and other scripts", async () => {
    for (const id of ["two words", "v1.2-rc", "naïve 🦊", "a+b=c&d"]) {
      await app.client.startNew("own-input", { input: id, instanceId: id });
      expect((await app.ended(id)).output).toBe(id);
      expect((await app.client.getStatus(id)).instanceId).toBe(id);
      const { statusQueryGetUri } = app.client.createHttpManagementPayload(id);
      expect((await fetch(statusQueryGetUri)).status).toBe(200);
    }
  });
});

describe("restart", () => {
  const restart = (id: string, query = ""): Promise<Response> =>
    app.api(`instances/${id}/restart${query}`, { method: "POST" });

  it("runs the same orchestrator with the same input under a new id, or under the old one", async () => {
    const { instanceId } = await app.run("double-again", { start: 5, times: 1 });
    const renewed = (await (await restart(instanceId)).json()) as { id: string };
    expect(renewed.id).not.toBe(instanceId);
    expect(await app.ended(renewed.id)).toMatchObject({ name: "double-again", output: 10 });
    const same = (await (await restart(instanceId, "?restartWithNewInstanceId=false")).json()) as { id: string };
    expect(same.id).toBe(instanceId);
    expect((await app.ended(instanceId)).output).toBe(10);
  });

  it("is refused under the id of what still runs, and for what is unknown", async () => {
    await app.client.startNew("wait-for-ever", { instanceId: "restarted-early" });
    const refused = await restart("restarted-early", "?restartWithNewInstanceId=false");
    expect([refused.status, await refused.text()]).toEqual([409, expect.stringContaining("already exists")]);
    expect((await restart("nobody")).status).toBe(404);
  });
});
