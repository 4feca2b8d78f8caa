import { describe, expect, it } from "vitest";
import { HubState } from "../../../localhost/task-hub/engine/hub-state.ts";
import { InstanceIndex } from "../../../localhost/task-hub/instance-index.ts";

describe("the index of instances", () => {
  it("forgets what has gone, though nobody ever lists it", () => {
    const state = new HubState();
    const index = new InstanceIndex(state);
    for (let n = 0; n < 10_000; n++) {
      // One id again and again, and one that is new each time and purged at once.
      for (const id of ["again", `once-${n}`]) {
        state.apply({ r: "created", atMs: n, birth: { id, name: "f", input: null, execution: `${n}` } });
        index.add(id);
      }
      state.apply({ r: "purged", ids: [`once-${n}`] });
    }
    expect(index.length).toBeLessThan(1100);
    expect(index.page({}, 10).heads.map(({ id }) => id)).toEqual(["again"]);
  });
});
