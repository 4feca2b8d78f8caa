// What every call goes through, whatever its route: ids, tokens, versions, paths, bodies, roles, audit, failures.

import { describe, expect, it } from "vitest";
import { type ApiCall, PATHS, type Route } from "../../../src/api/api-call.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { AUDIT_ROWS, type AuditBody } from "../../../src/control/audit.ts";
import { listRows } from "../../../src/control/rows/row-kind.ts";
import { type ApiUnderTest, apiUnderTest, OWNER } from "../../support/api-under-test.ts";
import { SUBSCRIPTION } from "../../support/service-in-memory.ts";

const VAULT = `/subscriptions/${SUBSCRIPTION}/resourceGroups/Group/providers/Microsoft.RecoveryServices/vaults/Vault`;
const ITEM = "/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;g;m/protectedItems/VM;v2;g;m";
const READER = "00000000-0000-4000-8000-00000000000b";
const STRANGER = "00000000-0000-4000-8000-00000000000c";

const echo = async (call: ApiCall) => ({
  status: 200,
  body: { path: call.path, names: ["subscription", "group", "vault"].map((name) => call.name(name)), body: call.body },
});
const route = (method: Route["method"], path: string, handle: Route["handle"], more: Partial<Route> = {}): Route => ({
  ...{ method, path, handle, operation: "vaults/read", isChange: method !== "GET" },
  ...more,
});
const failing = (kind: HoldfastFailure["kind"]) => async () => {
  throw new HoldfastFailure(kind, "HoldfastTest", "It does not work", { hint: "Try something else." });
};

const ROUTES: readonly Route[] = [
  route("GET", PATHS.vault, echo),
  route("PUT", PATHS.vault, echo, { operation: "vaults/write" }),
  route("GET", PATHS.item, async (call) => ({ status: 200, body: [call.name("container"), call.name("item")] })),
  route("POST", `${PATHS.vault}/throttled`, failing("throttled")),
  route("GET", `${PATHS.vault}/unavailable`, failing("unavailable")),
  route("GET", `${PATHS.vault}/corrupt`, failing("corrupt")),
  route("GET", `${PATHS.vault}/bug`, async () => {
    throw new TypeError("secret detail");
  }),
  route("POST", `${PATHS.vault}/work`, async () => ({ status: 202, headers: { Location: "https://x" } })),
];

const open = (settings = {}) => apiUnderTest({ routes: ROUTES, settings });

async function auditOf({ tables }: ApiUnderTest, book: string): Promise<AuditBody[]> {
  const rows: AuditBody[] = [];
  for await (const { body } of listRows(tables, AUDIT_ROWS, book)) rows.push(body);
  return rows;
}
const BOOK = `${SUBSCRIPTION}/vault`;

describe("a path", () => {
  it.each([
    VAULT,
    VAULT.toLowerCase()
      .replace("/group/", "/Group/")
      .replace(/vault$/, "Vault"),
    VAULT.replaceAll("/", "//").slice(1),
    `${VAULT}/`,
    VAULT.replace("Microsoft.RecoveryServices", "MICROSOFT.recoveryservices"),
  ])("leads to its route however it is written, and keeps names as they came: %s", async (path) => {
    const { status, body } = await (await open()).send("GET", path);
    expect(status).toBe(200);
    expect(body).toMatchObject({ path: VAULT, names: [SUBSCRIPTION, "Group", "Vault"] });
  });

  it.each([ITEM, ITEM.replaceAll(";", "%3B"), ITEM.replaceAll(";", "%3b")])(
    "may hold semicolons raw or encoded: %s",
    async (item) => {
      const { body } = await (await open()).send("GET", VAULT + item);
      expect(body).toEqual(["IaasVMContainer;iaasvmcontainerv2;g;m", "VM;v2;g;m"]);
    },
  );

  it.each(["%2F", "%00", "%0a", "%5C", "%E0%A4%A", "%ff", "a".repeat(300)])(
    "is refused with a name that holds %s",
    async (name) => {
      const { status, body } = await (await open()).send("GET", VAULT.replace(/Vault$/, `V${name}`));
      expect([status, body.error.code]).toEqual([400, "InvalidRequestUri"]);
    },
  );

  it("that leads nowhere is answered in ARM's shape", async () => {
    const { status, body, headers } = await (await open()).send("GET", `${VAULT}/nowhere/at/all`);
    expect(status).toBe(404);
    expect(headers.get("content-type")).toContain("application/json");
    expect(body).toEqual({
      error: {
        ...{ code: "OperationNotSupported", message: expect.stringContaining("nowhere") },
        ...{ target: null, details: null, innerError: null },
      },
    });
  });

  it("refuses a method that it has not, and names those it has", async () => {
    const { status, body, headers } = await (await open()).send("DELETE", VAULT);
    expect([status, body.error.code, headers.get("allow")]).toEqual([405, "MethodNotAllowed", "GET, PUT"]);
  });

  it("in a subscription that is not looked after is not found", async () => {
    const { status, body } = await (await open()).send("GET", VAULT.replace(SUBSCRIPTION, "other"));
    expect([status, body.error.code]).toEqual([404, "SubscriptionNotFound"]);
  });
});

describe("an api-version", () => {
  it.each([
    [null, "MissingApiVersionParameter"],
    ["", "MissingApiVersionParameter"],
    ["latest", "InvalidApiVersionParameter"],
    ["2015-01-01", "InvalidApiVersionParameter"],
    ["2023-99-99", "InvalidApiVersionParameter"],
    ["2023-06-01<script>", "InvalidApiVersionParameter"],
  ])("is refused when it is %j", async (apiVersion, code) => {
    const { status, body } = await (await open()).send("GET", VAULT, undefined, { apiVersion });
    expect([status, body.error.code]).toEqual([400, code]);
  });

  it.each(["2016-06-01", "2022-09-01-preview", "2026-07-01"])("is good when it is %s", async (apiVersion) => {
    expect((await (await open()).send("GET", VAULT, undefined, { apiVersion })).status).toBe(200);
  });
});

describe("ids of a request", () => {
  it("are answered, the client's own as it sent it, and are new each time", async () => {
    const test = await open();
    const headers = { "x-ms-client-request-id": "mine-1", "x-ms-correlation-request-id": "theirs-1" };
    const first = await test.send("GET", VAULT, undefined, { headers });
    const second = await test.send("GET", `${VAULT}/nowhere`, undefined, { caller: null });
    expect(first.headers.get("x-ms-client-request-id")).toBe("mine-1");
    expect(first.headers.get("x-ms-correlation-request-id")).toBe("theirs-1");
    expect(second.headers.get("x-ms-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(second.headers.get("x-ms-request-id")).not.toBe(first.headers.get("x-ms-request-id"));
  });
});

describe("a caller", () => {
  it("without a token is told where to get one, before anything else is looked at", async () => {
    const test = await open();
    for (const path of [VAULT, "/subscriptions/other/x", "/%ff"]) {
      const { status, headers } = await test.send("GET", path, undefined, { caller: null, apiVersion: null });
      expect([401, 400]).toContain(status);
      if (status === 401)
        expect(headers.get("www-authenticate")).toBe('Bearer authorization_uri="https://login.test/tenant"');
    }
  });

  it("with a bad token is told what is wrong with it", async () => {
    const test = await open();
    const headers = { Authorization: "Bearer a.b.c" };
    const { status, body, headers: answered } = await test.send("GET", VAULT, undefined, { caller: null, headers });
    expect([status, body.error.code]).toEqual([401, "InvalidAuthenticationToken"]);
    expect(answered.get("www-authenticate")).toContain('error="invalid_token"');
  });

  it.each([
    [`/subscriptions/${SUBSCRIPTION}`, 200],
    [`/subscriptions/${SUBSCRIPTION}/resourcegroups/GROUP`, 200],
    [VAULT, 200],
    ["/", 200],
    [`/subscriptions/${SUBSCRIPTION}/resourceGroups/Gro`, 403],
    [`${VAULT}2`, 403],
    [`${VAULT}/backupPolicies/p`, 403],
  ])("whose role is at %s gets %i", async (scope, expected) => {
    const test = await open();
    test.assignments.push({ principalId: READER, role: "Backup Reader", scope });
    expect((await test.send("GET", VAULT, undefined, { caller: READER })).status).toBe(expected);
  });

  it("that may read may not write, and is told what it takes", async () => {
    const test = await open();
    test.assignments.push({ principalId: READER, role: "Reader", scope: "/" });
    const { status, body } = await test.send("PUT", VAULT, {}, { caller: READER });
    expect([status, body.error.code]).toEqual([403, "AuthorizationFailed"]);
    expect(body.error.message).toContain("Backup Contributor");
  });

  it("without any role learns nothing", async () => {
    const { status } = await (await open()).send("GET", VAULT, undefined, { caller: STRANGER });
    expect(status).toBe(403);
  });
});

describe("a body", () => {
  it.each(["{", "nonsense", '{"a":1}}', '"\\ud800"', "[".repeat(100) + "]".repeat(100)])(
    "that cannot be read is 400: %s",
    async (text) => {
      const { status, body } = await (await open()).send("PUT", VAULT, text);
      expect([status, body.error.code]).toEqual([400, "InvalidRequestContent"]);
    },
  );

  it("over the limit is refused, whether it says its length or not", async () => {
    const test = await open({ maxBodyBytes: 1000 });
    const large = JSON.stringify({ text: "x".repeat(2000) });
    const { status, body } = await test.send("PUT", VAULT, large);
    expect([status, body.error.code]).toEqual([413, "RequestEntityTooLarge"]);
    const parts = new ReadableStream({
      start(controller) {
        for (const part of large.match(/.{1,100}/g) ?? []) controller.enqueue(new TextEncoder().encode(part));
        controller.close();
      },
    });
    const headers = { Authorization: `Bearer ${await test.issuer.token(OWNER)}` };
    const init = { method: "PUT", headers, body: parts, duplex: "half" } as unknown as RequestInit;
    const streamed = await test.api.fetch(new Request(`http://h${VAULT}?api-version=2023-06-01`, init));
    expect(streamed.status).toBe(413);
  });

  it("may be absent", async () => {
    expect((await (await open()).send("PUT", VAULT)).body.body).toBeUndefined();
  });
});

describe("a failure", () => {
  it.each([
    ["POST", "throttled", 429],
    ["GET", "unavailable", 503],
  ])("that passes (%s %s) says when to come again", async (method, path, expected) => {
    const { status, headers, body } = await (await open()).send(method, `${VAULT}/${path}`);
    expect([status, headers.get("retry-after")]).toEqual([expected, "5"]);
    expect(body.error.message).toBe("It does not work. Try something else.");
  });

  it("that somebody else gave a time for hands it on", async () => {
    const handle = async () => {
      throw new HoldfastFailure("throttled", "HoldfastTest", "Too much", { retryAfterMs: 16_500 });
    };
    const test = await apiUnderTest({ routes: [route("GET", PATHS.vault, handle)] });
    expect((await test.send("GET", VAULT)).headers.get("retry-after")).toBe("17");
  });

  it("of the inside says nothing of the inside, and is reported", async () => {
    const test = await open();
    const { status, body, headers } = await test.send("GET", `${VAULT}/bug`);
    expect([status, body.error.code]).toEqual([500, "CloudInternalError"]);
    expect(JSON.stringify(body)).not.toContain("secret");
    expect(body.error.message).toContain(headers.get("x-ms-request-id"));
    expect(test.internalErrors).toHaveLength(1);
    expect((await test.send("GET", `${VAULT}/corrupt`)).status).toBe(500);
    expect(test.internalErrors).toHaveLength(2);
  });
});

describe("the audit", () => {
  it("holds every call that changes something, before it is carried out and with its answer", async () => {
    const test = await open();
    const { headers } = await test.send("POST", `${VAULT}/work`);
    test.service.now = new Date("2026-03-01T12:00:01.000Z");
    await test.send("POST", `${VAULT}/throttled`);
    const rows = await auditOf(test, BOOK);
    expect(rows.map(({ call, answer }) => [call.path.split("/").at(-1), answer])).toEqual([
      ["work", null],
      ["work", { status: 202, code: null }],
      ["throttled", null],
      ["throttled", { status: 429, code: "HoldfastTest" }],
    ]);
    expect(rows[0]).toMatchObject({
      at: "2026-03-01T12:00:00.000Z",
      call: { callerId: OWNER, method: "POST", requestId: headers.get("x-ms-request-id") },
    });
  });

  it("holds refusals, and no reading", async () => {
    const test = await open();
    await test.send("GET", VAULT);
    await test.send("PUT", VAULT, {}, { caller: STRANGER });
    expect((await auditOf(test, BOOK)).map(({ answer }) => answer?.code ?? null)).toEqual([
      null,
      "AuthorizationFailed",
    ]);
  });

  it("comes first: what cannot be recorded is not done", async () => {
    const test = await open();
    test.tables.insert = async () => {
      throw new HoldfastFailure("unavailable", "HoldfastTest", "The store is away");
    };
    expect((await test.send("POST", `${VAULT}/work`)).status).toBe(503);
  });
});

describe("HEAD", () => {
  it("is GET without a body", async () => {
    const { status, body } = await (await open()).send("HEAD", VAULT);
    expect([status, body]).toEqual([200, undefined]);
  });
});
