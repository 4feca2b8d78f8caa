import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchRoute, splitPath } from "../../../../localhost/functions-host/http/route-match.ts";
import { parseRouteTemplate } from "../../../../localhost/functions-host/http/route-template.ts";

function match(template: string, path: string): Record<string, string> | undefined {
  const values = matchRoute(parseRouteTemplate(template), splitPath(path));
  return values && { ...values };
}

/** Which of the candidates a constraint lets through. */
function accepted(constraint: string, candidates: readonly string[]): string[] {
  return candidates.filter((candidate) => match(`{value:${constraint}}`, `/${candidate}`) !== undefined);
}

describe("a route template", () => {
  it("matches literals regardless of case, and ignores a trailing slash", () => {
    expect(match("Items/All", "/iTEMS/aLL")).toEqual({});
    expect(match("items/all", "/items/all/")).toEqual({});
    expect(match("items/all", "/items")).toBeUndefined();
    expect(match("items/all", "/items/all/more")).toBeUndefined();
    expect(match("items/all", "/items//all")).toBeUndefined();
    expect(match("größe", "/GRÖSSE")).toBeUndefined();
    expect(match("größe", "/GRÖßE")).toEqual({});
  });

  it("captures parameters in the case and spelling of the path", () => {
    expect(match("items/{category}/{id}", "/items/Books/A-7")).toEqual({ category: "Books", id: "A-7" });
    expect(match("items/{category}/{id}", "/items/Books")).toBeUndefined();
    expect(match("items/{category}/{id}", "/items//5")).toBeUndefined();
  });

  it("leaves an absent optional parameter out, and fills in a default", () => {
    expect(match("items/{id?}", "/items")).toEqual({});
    expect(match("items/{id?}", "/items/5")).toEqual({ id: "5" });
    expect(match("items/{id=7}", "/items")).toEqual({ id: "7" });
    expect(match("items/{id=7}", "/items/5")).toEqual({ id: "5" });
    expect(match("{page=home}/{view=list}", "/")).toEqual({ page: "home", view: "list" });
    expect(match("{constructor=mine}", "/")).toEqual({ constructor: "mine" });
  });

  it("gives a catch-all the rest of the path as it is, and matches without any rest", () => {
    for (const stars of ["*", "**"]) {
      expect(match(`files/{${stars}rest}`, "/files/a/b//c/")).toEqual({ rest: "a/b//c/" });
      expect(match(`files/{${stars}rest}`, "/files")).toEqual({});
      expect(match(`files/{${stars}rest}`, "/files/")).toEqual({});
      expect(match(`{${stars}rest}`, "/")).toEqual({});
    }
    expect(match("files/{*rest=index.html}", "/files")).toEqual({ rest: "index.html" });
  });

  it("matches an empty template at the root only", () => {
    for (const template of ["", "/"]) {
      expect(match(template, "/")).toEqual({});
      expect(match(template, "/a")).toBeUndefined();
    }
  });

  it("tells several parameters in one segment apart by what stands between them, from the right", () => {
    expect(match("{name}.{extension}", "/archive.tar.gz")).toEqual({ name: "archive.tar", extension: "gz" });
    expect(match("v{major}-{minor}", "/V1-2")).toEqual({ major: "1", minor: "2" });
    expect(match("{from}To{to}", "/aTObTOc")).toEqual({ from: "aTOb", to: "c" });
    expect(match("{a}-{b}", "/-b")).toBeUndefined();
    expect(match("{a}-{b}", "/a-")).toBeUndefined();
    expect(match("pre{a}", "/xpre1")).toBeUndefined();
    expect(match("{a}post", "/1postx")).toBeUndefined();
  });

  it("takes a file name with or without its optional extension, but not with a bare dot", () => {
    expect(match("{name}.{extension?}", "/readme.md")).toEqual({ name: "readme", extension: "md" });
    expect(match("{name}.{extension?}", "/readme")).toEqual({ name: "readme" });
    expect(match("{name}.{extension?}", "/.profile")).toEqual({ name: ".profile" });
    expect(match("{name}.{extension?}", "/readme.")).toBeUndefined();
  });

  it("reads doubled braces as braces", () => {
    expect(match("a{{b}}/{id}", "/a{b}/1")).toEqual({ id: "1" });
  });

  const constraints: [string, string[], string[]][] = [
    ["int", ["0", "-2147483648", "2147483647", "+5", " 7 "], ["2147483648", "1.0", "", "x", "--1", "1e3"]],
    ["long", ["-9223372036854775808", "9223372036854775807"], ["9223372036854775808", "1n", "0x10"]],
    ["bool", ["true", "FALSE", " True "], ["1", "yes", "truee"]],
    [
      "guid",
      [
        "CD2C1638-1638-72D5-1638-DEADBEEF1638",
        "cd2c1638163872d51638deadbeef1638",
        "{cd2c1638-1638-72d5-1638-deadbeef1638}",
      ],
      ["cd2c1638-1638-72d5-1638-deadbeef163", "{cd2c1638163872d51638deadbeef1638}", "gd2c1638163872d51638deadbeef1638"],
    ],
    [
      "datetime",
      ["2016-12-31", "2016-12-31 7:32pm", "2016-02-29T23:59:59.999Z", "12-31-2016", "31 Dec 2016", "7:32"],
      ["2015-02-29", "2016-13-01", "12-32-2016", "2016-12-31T24:00:00", "7:60", "13:00pm", "12", "tomorrow"],
    ],
    ["decimal", ["49.99", "-1,000.01", "1.", ".5", "5-"], ["1e3", "-5-", ".", "", "79228162514264337593543950336"]],
    ["double", ["1.234", "-1,001.01e8", "1e400", "NaN", "-Infinity"], ["", "1.2.3", "e5"]],
    ["float", ["1.234", ".5E-3"], ["1f", "x"]],
    ["alpha", ["Rick"], ["R2", "ä"]],
    ["required", ["x"], []],
    ["length(3)", ["abc"], ["ab", "abcd"]],
    ["length(2, 3)", ["ab", "abc"], ["a", "abcd"]],
    ["minlength(2)", ["ab"], ["a"]],
    ["maxlength(2)", ["a", "ab"], ["abc"]],
    ["min(18)", ["18", "9223372036854775807"], ["17", "x"]],
    ["max(120)", ["120", "-5"], ["121", ""]],
    ["range(18,120)", ["18", "120"], ["17", "121", "1.5"]],
    ["regex(^\\d{{3}}-\\d{{2}}$)", ["123-45"], ["123-456", "1234-5"]],
    ["regex(^(a|b).:c=\\)d$)", ["a-:c=)d", "B-:C=)D"], ["c-:c=)d"]],
    ["regex(\\Ab+\\z)", ["BB"], ["abb"]],
    ["file", ["a.txt"], ["a", "a."]],
    ["nonfile", ["a"], ["a.txt"]],
    ["int:min(2):max(3)", ["2", "3"], ["1", "4"]],
    ["INT", ["1"], ["x"]],
  ];
  it.each(constraints)("constrains a parameter by %s", (constraint, good, bad) => {
    expect(accepted(constraint, [...good, ...bad])).toEqual(good);
  });

  it("holds defaults to the constraints, and lets an absent optional parameter pass them", () => {
    expect(match("{id:int=5}", "/")).toEqual({ id: "5" });
    expect(match("{id:int=five}", "/")).toBeUndefined();
    expect(match("{id:int?}", "/")).toEqual({});
    expect(match("{id:int?}", "/x")).toBeUndefined();
    expect(match("{*rest:int}", "/")).toBeUndefined();
  });

  const malformed: [string, RegExp][] = [
    ["a//b", /Two "\/" follow each other/],
    ["~a", /"~"/],
    ["a?b", /"\?" can stand only at the end/],
    ["{", /not closed/],
    ["{a", /not closed/],
    ["{a}}", /not closed/],
    ["a}b", /"}" has no counterpart/],
    ["{a{b}", /"{" inside a parameter is written twice/],
    ["{}", /no parameter name/],
    ["{:int}", /no parameter name/],
    ["{a*}", /"a\*" is no parameter name/],
    ["{a?b}", /no parameter name/],
    ["{a}/{A}", /"A" appears more than once/],
    ["{*a}/b", /"a" is not the last segment/],
    ["x{*a}", /shares its segment/],
    ["{*a?}", /leave the "\?" out/],
    ["{a=1?}", /has a default value/],
    ["{a}{b}", /"a" and "b" follow each other/],
    ["{a?}b", /not at the end of its segment/],
    ["x-{a?}", /Only a "\."/],
    ["{a:nope}", /no route constraint "nope"/],
    ["{a:toString}", /no route constraint "tostring"/],
    ["{a:int(5)}", /has 1 arguments, "int" takes 0/],
    ["{a:range(1)}", /has 1 arguments, "range" takes 2/],
    ["{a:length(5,2)}", /length from 5 to 2/],
    ["{a:min(x)}", /"x" is no whole number/],
    ["{a:range(9,1)}", /from 9 to 1/],
    ["{a:regex(()}", /regular expression "\(" cannot be used/],
    ["{a:regex}", /no route constraint "regex"/],
  ];
  it.each(malformed)("refuses %j and says why", (template, reason) => {
    expect(() => parseRouteTemplate(template)).toThrow(expect.objectContaining({ code: "RouteTemplateInvalid" }));
    expect(() => parseRouteTemplate(template)).toThrow(reason);
  });
});

describe("any route template", () => {
  const word = fc.stringMatching(/^[a-zA-Z0-9 äÖ_~%{}-]{1,8}$/);
  const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,5}$/);
  const piece = fc.oneof(
    word.map((literal) => ({ literal })),
    fc.record({ name, value: word }),
  );

  it("gives back the values that its path was made of", () => {
    const pieces = fc.uniqueArray(piece, {
      minLength: 1,
      maxLength: 6,
      selector: (part) => ("name" in part ? part.name : part),
    });
    fc.assert(
      fc.property(pieces, fc.boolean(), (parts, shout) => {
        const template = parts.map((part) =>
          "name" in part ? `{${part.name}}` : part.literal.replace(/[{}]/g, "$&$&"),
        );
        const path = parts.map((part) =>
          "name" in part ? part.value : shout ? part.literal.toUpperCase() : part.literal,
        );
        const values = parts.flatMap((part) => ("name" in part ? [[part.name, part.value]] : []));
        expect(match(`at/${template.join("/")}`, `/at/${path.join("/")}`)).toEqual(Object.fromEntries(values));
      }),
    );
  });

  it("puts together again what it took apart inside a segment, or does not match", () => {
    const separators = fc.array(fc.stringMatching(/^[xy.-]{1,2}$/), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(separators, fc.stringMatching(/^[abxy.-]{1,12}$/), (between, text) => {
        const names = [...between, ""].map((_, index) => `p${index}`);
        const template = names.map((id, index) => `{${id}}${between[index] ?? ""}`).join("");
        const values = match(template, `/${text}`);
        if (values === undefined) return;
        expect(names.map((id, index) => `${values[id]}${between[index] ?? ""}`).join("")).toBe(text);
        expect(Object.values(values)).not.toContain("");
      }),
    );
  });

  it("finds the values inside a segment when they do not contain what separates them", () => {
    const parts = fc.array(fc.tuple(fc.stringMatching(/^[ab]{1,4}$/), fc.stringMatching(/^[xy.-]{1,2}$/)), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(parts, (pairs) => {
        const template = pairs.map(([, separator], index) => `{p${index}}${separator}`).join("");
        const path = pairs.map(([value, separator]) => `${value}${separator}`).join("");
        const expected = Object.fromEntries(pairs.map(([value], index) => [`p${index}`, value]));
        expect(match(template, `/${path}`)).toEqual(expected);
      }),
    );
  });

  it("is either parsed or refused with a reason, whatever it is", () => {
    const soup = fc.array(fc.constantFrom("{", "}", "*", "?", "/", ":", "=", "(", ")", "a", "b", ".", "int", "regex"), {
      maxLength: 14,
    });
    fc.assert(
      fc.property(soup, (characters) => {
        const text = characters.join("");
        try {
          const template = parseRouteTemplate(text);
          expect(() => matchRoute(template, splitPath("/a/b.b/a"))).not.toThrow();
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: "HoldfastFailure", code: "RouteTemplateInvalid" });
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
