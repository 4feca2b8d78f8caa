// Addresses in answers, as the client sees the service.

import { describe, expect, it } from "vitest";
import { linksFor, publicBase } from "../../../src/api/links.ts";

const direct = { publicUrl: undefined, isBehindProxy: false };
const proxied = { ...direct, isBehindProxy: true };
const asked = new URL("http://10.1.1.1:7071/subscriptions?api-version=1");
const forwarded = new Headers({ "X-Forwarded-Proto": "https", "X-Forwarded-Host": "backup.contoso.com:8443, inner" });

describe("the address of the service", () => {
  it("is the configured one, whatever a request says", () => {
    const settings = { ...proxied, publicUrl: "https://vaults.contoso.com/api/" };
    expect(publicBase(settings, asked, forwarded)).toBe("https://vaults.contoso.com/api");
  });

  it("is what a proxy forwards", () => {
    expect(publicBase(proxied, asked, forwarded)).toBe("https://backup.contoso.com:8443");
  });

  it("is what was asked for where no proxy connects, whatever a request says", () => {
    expect(publicBase(direct, asked, forwarded)).toBe("http://10.1.1.1:7071");
  });

  it("believes no forwarded header that is not an address", () => {
    const odd = new Headers({ "X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "evil.com/path" });
    expect(publicBase(proxied, asked, odd)).toBe("http://10.1.1.1:7071");
  });
});

describe("a link", () => {
  it("is absolute, encoded, and carries the caller's api-version", () => {
    const links = linksFor("https://h/api", "2023-06-01");
    expect(links.to("/a/VM;x;my group", { $skipToken: "a=b" })).toBe(
      "https://h/api/a/VM%3Bx%3Bmy%20group?$skipToken=a%3Db&api-version=2023-06-01",
    );
  });
});
