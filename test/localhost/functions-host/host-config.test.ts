import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readHostConfig } from "../../../localhost/functions-host/host-config.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const host = (text: string): void => writeFileSync(join(folder, "host.json"), text);
const local = (text: string): void => writeFileSync(join(folder, "local.settings.json"), text);

describe("the configuration of an app", () => {
  it("has the real host's defaults when no file says otherwise", () => {
    const config = readHostConfig(folder);
    expect(config).toMatchObject({
      routePrefix: "api",
      functionTimeoutMs: 30 * 60_000,
      hub: { hubName: "TestHubName", maxOrchestrationActions: 100_000 },
      values: {},
    });
  });

  it("is read with comments and trailing commas, but not inside texts", () => {
    host(`{
      // a comment, with "quotes"
      "functionTimeout": "1.02:03:04", /* another */
      "extensions": { "http": { "routePrefix": "a//b,}" }, },
    }`);
    expect(readHostConfig(folder)).toMatchObject({
      functionTimeoutMs: ((26 * 60 + 3) * 60 + 4) * 1000,
      routePrefix: "a//b,}",
    });
  });

  it("takes the hub's name from a setting", () => {
    host('{ "extensions": { "durableTask": { "hubName": "%HUB_FOR_THIS_TEST%" } } }');
    local('{ "Values": { "HUB_FOR_THIS_TEST": "MyHub" } }');
    expect(readHostConfig(folder).hub.hubName).toBe("MyHub");
  });

  it("says which setting is missing, and where to put it", () => {
    host('{ "extensions": { "durableTask": { "hubName": "%NOT_SET_ANYWHERE%" } } }');
    expect(() => readHostConfig(folder)).toThrow("NOT_SET_ANYWHERE");
  });

  it("has no time limit when functionTimeout is -1", () => {
    host('{ "functionTimeout": "-1" }');
    expect(readHostConfig(folder).functionTimeoutMs).toBeUndefined();
  });

  it.each([
    ['{ "functionTimeout": "soon" }', "functionTimeout"],
    ['{ "functionTimeout": 5 }', "functionTimeout"],
    ['{ "extensions": { "http": { "routePrefix": 1 } } }', "extensions.http.routePrefix"],
    ['{ "extensions": { "durableTask": { "maxConcurrentActivityFunctions": 0 } } }', "maxConcurrentActivityFunctions"],
    ['{ "logging": { "logLevel": { "default": "Loud" } } }', "logging.logLevel.default"],
    ["{ not json", "is not valid JSON"],
  ])("refuses %s and names file and key", (text, key) => {
    host(text);
    expect(() => readHostConfig(folder)).toThrow(key);
    expect(() => readHostConfig(folder)).toThrow(join(folder, "host.json"));
  });

  it("refuses encrypted settings with the command that decrypts them", () => {
    local('{ "IsEncrypted": true, "Values": {} }');
    expect(() => readHostConfig(folder)).toThrow("encrypted");
  });

  it("reads the port and the origins of local.settings.json", () => {
    local(
      '{ "Host": { "LocalHttpPort": 7999, "CORS": "http://a.example, http://b.example", "CORSCredentials": true } }',
    );
    expect(readHostConfig(folder)).toMatchObject({
      localPort: 7999,
      cors: { origins: ["http://a.example", "http://b.example"], credentials: true },
    });
  });
});
