import { describe, expect, it } from "vitest";
import { thrownText } from "../../../localhost/functions-host/thrown-text.ts";

describe("the text of what was thrown", () => {
  it("is the stack, with the stacks of all causes below it", () => {
    const root = new Error("disk full");
    const text = thrownText(new Error("cannot save", { cause: new Error("cannot write", { cause: root }) }));
    expect(text).toMatch(
      /^Error: cannot save\n {4}at [\s\S]*\nCaused by: Error: cannot write\n {4}at [\s\S]*\nCaused by: Error: disk full\n {4}at /,
    );
  });

  it("says so when it was not an error", () => {
    expect(thrownText("just a word")).toBe("Thrown: just a word");
    expect(thrownText(undefined)).toBe("Thrown: undefined");
  });

  it("ends for an error that is its own cause", () => {
    const snake = new Error("tail");
    snake.cause = snake;
    expect(thrownText(snake).split("Caused by").length).toBeLessThan(10);
  });
});
