import { RestError } from "@azure/core-rest-pipeline";
import { describe, expect, it } from "vitest";
import { failureOf, retryAfterMsOf, withoutSecrets } from "../../../src/azure/azure-failures.ts";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import { everythingIn } from "../../support/azure-service.ts";

const SAS = "https://md-1.blob.storage.azure.net/x/abcd?sv=2018-03-28&sr=b&si=1&sig=c2VjcmV0%3D";
const TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";

function answer(statusCode: number, code: string | undefined, message = "said"): RestError {
  return new RestError(message, { statusCode, ...(code === undefined ? {} : { code }) });
}

describe("What Azure throws", () => {
  it.each([
    [answer(429, "TooManyRequests"), "throttled", "HoldfastAzureBusy"],
    [answer(503, "ServerBusy"), "throttled", "HoldfastAzureBusy"],
    [answer(503, "ServiceUnavailable"), "unavailable", "HoldfastAzureUnavailable"],
    [answer(500, "InternalServerError"), "unavailable", "HoldfastAzureUnavailable"],
    [answer(408, undefined), "unavailable", "HoldfastAzureUnavailable"],
    [answer(401, "InvalidAuthenticationToken"), "denied", "InvalidAuthenticationToken"],
    [answer(403, "AuthorizationFailed"), "denied", "AuthorizationFailed"],
    [answer(404, "ResourceNotFound"), "not-found", "ResourceNotFound"],
    [answer(409, "OperationNotAllowed"), "conflict", "OperationNotAllowed"],
    [answer(412, "PreconditionFailed"), "conflict", "PreconditionFailed"],
    [answer(400, "InvalidParameter"), "invalid", "InvalidParameter"],
    [answer(400, undefined), "invalid", "HoldfastAzureRefused"],
    [new RestError("connect ECONNREFUSED", { code: "ECONNREFUSED" }), "unavailable", "HoldfastAzureUnavailable"],
    [new DOMException("aborted", "AbortError"), "unavailable", "HoldfastAzureUnavailable"],
    [Object.assign(new Error("socket"), { code: "ECONNRESET" }), "unavailable", "HoldfastAzureUnavailable"],
    [new Error("The long-running operation has failed. OsSnapshotWriteError. VSS"), "conflict", "OsSnapshotWriteError"],
    [
      new Error("The long-running operation has failed. InternalExecutionError. x"),
      "unavailable",
      "HoldfastAzureUnavailable",
    ],
    [
      Object.assign(new Error("no identity"), { name: "CredentialUnavailableError" }),
      "unavailable",
      "HoldfastAzureUnavailable",
    ],
  ])("%s is %s", (thrown, kind, code) => {
    expect(failureOf(thrown, "it")).toMatchObject({ kind, code });
  });

  it("and what is none of its, a bug or a failure of ours, stays what it is", () => {
    for (const own of [new TypeError("x is undefined"), new HoldfastFailure("corrupt", "C", "m"), "text"])
      expect(failureOf(own, "it")).toBe(own);
  });

  it("never takes an address, a token or a body along", () => {
    const body = `{"properties":{"output":{"accessSAS":"${SAS}"}`;
    for (const thrown of [
      answer(403, "AuthenticationFailed", `Server failed for ${SAS}\nRequestId:1`),
      answer(400, "InvalidHeaderValue", `x-ms-previous-snapshot-url: ${encodeURIComponent(SAS)}`),
      new RestError(`Error "SyntaxError" occurred while parsing the response body - ${body}`, { code: "PARSE_ERROR" }),
      Object.assign(new Error(`getaddrinfo ENOTFOUND for ${SAS}`), { code: "ENOTFOUND" }),
      answer(401, "ExpiredAuthenticationToken", `Bearer ${TOKEN} has expired`),
    ]) {
      const text = everythingIn(failureOf(thrown, "it"));
      expect(text).not.toMatch(/sig(=|%3D)|c2VjcmV0|eyJ/i);
      expect(text).toContain("azure-failures.test.ts");
    }
    expect(withoutSecrets(`GET ${SAS} failed, id=7?`)).toBe(
      "GET https://md-1.blob.storage.azure.net/x/abcd?… failed, id=7?",
    );
  });

  it("asks for a wait in seconds or by a date", () => {
    expect(retryAfterMsOf("17")).toBe(17_000);
    expect(retryAfterMsOf("Wed, 25 Nov 2026 10:00:30 GMT", Date.UTC(2026, 10, 25, 10, 0, 0))).toBe(30_000);
    expect(retryAfterMsOf("Wed, 25 Nov 2026 09:00:00 GMT", Date.UTC(2026, 10, 25, 10, 0, 0))).toBe(0);
    expect(retryAfterMsOf("soon")).toBeUndefined();
    expect(retryAfterMsOf(undefined)).toBeUndefined();
  });
});
