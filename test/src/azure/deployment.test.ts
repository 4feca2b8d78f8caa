// The settings of a deployment: what is missing or wrong is named, all of it at once.

import { describe, expect, it } from "vitest";
import { isBehindProxy, readDeployment } from "../../../src/azure/deployment.ts";

const SETTINGS = {
  HOLDFAST_TENANT_ID: "tenant",
  HOLDFAST_SUBSCRIPTIONS: "one, two",
  HOLDFAST_STATE_ACCOUNT: "https://state.table.core.windows.net",
  HOLDFAST_VAULT_ACCOUNTS: '{"westeurope":{"LocallyRedundant":"https://vaults.blob.core.windows.net"}}',
  HOLDFAST_KEY: "none",
  HOLDFAST_ISSUERS: '[{"issuer":"https://i","keysUrl":"https://i/keys","audiences":["a"]}]',
};

const read = (more: Record<string, string>) => readDeployment({ ...SETTINGS, ...more });

describe("a deployment", () => {
  it("is read, with defaults for what is not said", () => {
    expect(read({})).toMatchObject({ HOLDFAST_SUBSCRIPTIONS: ["one", "two"], HOLDFAST_PAGE_SIZE: 200 });
  });

  it("is refused with everything that is missing or wrong, each by its name", () => {
    const wrong = { HOLDFAST_KEY: "", HOLDFAST_ISSUERS: "[", HOLDFAST_TRUSTED_PROXIES: "10.0.0.7" };
    for (const name of Object.keys(wrong)) {
      const expected = name === "HOLDFAST_TRUSTED_PROXIES" ? "HOLDFAST_ASSUMED_PEER" : name;
      expect(() => read(wrong)).toThrow(expect.objectContaining({ message: expect.stringContaining(`${expected}: `) }));
    }
  });
});

describe("Forwarded headers", () => {
  it.each([
    [{ HOLDFAST_ASSUMED_PEER: "127.0.0.1" }],
    [{ HOLDFAST_ASSUMED_PEER: "::1", HOLDFAST_TRUSTED_PROXIES: "10.0.0.7" }],
    [{ HOLDFAST_ASSUMED_PEER: "10.0.0.7", HOLDFAST_TRUSTED_PROXIES: "10.0.0.6, 10.0.0.7" }],
  ])("are believed with %o", (more) => {
    expect(isBehindProxy(read(more))).toBe(true);
  });

  it("are not believed unless a deployment says so", () => {
    expect(isBehindProxy(read({}))).toBe(false);
  });

  it.each([
    [{ HOLDFAST_TRUSTED_PROXIES: "10.0.0.7" }],
    [{ HOLDFAST_ASSUMED_PEER: "10.0.0.7" }],
    [{ HOLDFAST_ASSUMED_PEER: "10.0.0.8", HOLDFAST_TRUSTED_PROXIES: "10.0.0.7" }],
    [{ HOLDFAST_ASSUMED_PEER: "127.0.0.1.example", HOLDFAST_TRUSTED_PROXIES: "10.0.0.7" }],
  ])("are not said to be believed by %o, which is refused rather than ignored", (more) => {
    expect(() => read(more)).toThrow(
      /HOLDFAST_ASSUMED_PEER: has to name who connects, loopback or one of HOLDFAST_TRUSTED_PROXIES/,
    );
  });
});
