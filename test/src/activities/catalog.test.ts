import { describe, expect, it } from "vitest";
import { ORCHESTRATIONS } from "../../../orchestrations/catalog.ts";
import * as contracts from "../../../orchestrations/contracts.ts";
import { ACTIVITIES } from "../../../src/activities/catalog.ts";

describe("The catalogues", () => {
  it("have everything that the contracts name, under a name that the real host takes, and nothing else", () => {
    const named = Object.values(contracts).map(({ name }) => name);
    expect([...Object.keys(ORCHESTRATIONS), ...Object.keys(ACTIVITIES)].toSorted()).toEqual(named.toSorted());
    for (const name of named) expect(name).toMatch(/^[a-z][a-z0-9_-]{0,127}$/);
  });
});
