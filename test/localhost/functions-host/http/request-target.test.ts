import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isUsableHost,
  parseQuery,
  parseRequestTarget,
} from "../../../../localhost/functions-host/http/request-target.ts";

const pathOf = (target: string): string | undefined => parseRequestTarget(target)?.path;

describe("a request target", () => {
  it("is cut into path and query", () => {
    expect(parseRequestTarget("/a/b?x=1?y")).toEqual({
      raw: "/a/b?x=1?y",
      rawPath: "/a/b",
      rawQuery: "x=1?y",
      path: "/a/b",
    });
  });

  it("may be a whole address, as proxies are asked", () => {
    expect(parseRequestTarget("http://localhost:7071/a?b")).toMatchObject({ raw: "/a?b", path: "/a" });
    expect(parseRequestTarget("HTTP://localhost?b")).toMatchObject({ raw: "/?b", path: "/" });
  });

  it.each(["*", "", "a/b", "ftp://x/", "/ä", "/a b", "/a%00b", "/a\u0001"])("is refused when it is %j", (target) => {
    expect(parseRequestTarget(target)).toBeUndefined();
  });

  it("is decoded except for encoded slashes and what is no encoding", () => {
    expect(pathOf("/a%20b/%C3%A4")).toBe("/a b/ä");
    expect(pathOf("/a%2Fb%2fc")).toBe("/a%2Fb%2fc");
    expect(pathOf("/%zz/%4/%")).toBe("/%zz/%4/%");
    expect(pathOf("/%FF%41%C3/%E2%82%AC%E2%82")).toBe("/%FFA%C3/€%E2%82");
    expect(pathOf("/%252F")).toBe("/%2F");
  });

  it("loses its dot segments after decoding, and never leaves the root", () => {
    expect(pathOf("/a/./b/../c")).toBe("/a/c");
    expect(pathOf("/a/%2e%2E/b")).toBe("/b");
    expect(pathOf("/../../a")).toBe("/a");
    expect(pathOf("/a/b/..")).toBe("/a/");
    expect(pathOf("/a/.")).toBe("/a/");
    expect(pathOf("/a/...b/.c")).toBe("/a/...b/.c");
    expect(pathOf("//.//a")).toBe("///a");
  });

  it("decodes what a client encoded", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme", minLength: 1 }), { minLength: 1 }), (segments) => {
        fc.pre(segments.every((segment) => !/[/\0]/.test(segment) && segment !== "." && segment !== ".."));
        expect(pathOf(`/${segments.map(encodeURIComponent).join("/")}`)).toBe(`/${segments.join("/")}`);
      }),
    );
  });
});

describe("a query", () => {
  it("joins the values of a repeated key with a comma, whatever its case", () => {
    expect(parseQuery("a=1&b=2&A=3&a=")).toEqual({ a: "1,3,", b: "2" });
  });

  it("keeps keys without a value, and skips what is empty", () => {
    expect(parseQuery("flag&&x=&=y")).toEqual({ flag: "", x: "", "": "y" });
    expect(parseQuery("")).toEqual({});
  });

  it("takes any key for what it is", () => {
    expect(Object.entries(parseQuery("__proto__=1&constructor=2"))).toEqual([
      ["__proto__", "1"],
      ["constructor", "2"],
    ]);
  });

  it("is read as URLSearchParams reads it, where no key is repeated", () => {
    const pairs = fc.uniqueArray(fc.tuple(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" })), {
      selector: ([key]) => key.toLowerCase(),
    });
    fc.assert(
      fc.property(pairs, (entries) => {
        const text = new URLSearchParams(entries.filter(([key, value]) => key !== "" || value !== "")).toString();
        expect(new Map(Object.entries(parseQuery(text)))).toEqual(new Map(new URLSearchParams(text)));
      }),
    );
  });
});

describe("a Host header", () => {
  it.each(["localhost", "localhost:7071", "127.0.0.1:80", "[::1]:7071", "my-machine.local", "a_b"])(
    "may be %s",
    (host) => {
      expect(isUsableHost(host)).toBe(true);
    },
  );

  it.each(["", "a b", "user:pw@x", "x/y", "x?y", "x:99999", "x:y", "[::1", "256.1.1.1", "a%zz", "ä"])(
    "is refused when it is %j",
    (host) => {
      expect(isUsableHost(host)).toBe(false);
      expect(isUsableHost(host)).toBe(false);
    },
  );
});
