import { describe, expect, it } from "vitest";
import { Progress } from "../../cli/progress.ts";

const MiB = 1024 * 1024;

function watched(isTerminal: boolean, work: (progress: Progress, wait: (ms: number) => void) => void) {
  const lines: string[] = [];
  const overwritten: string[] = [];
  const output = {
    print: () => undefined,
    complain: (line: string) => lines.push(line),
    overwrite: (text: string) => overwritten.push(text),
    isTerminal,
  };
  let nowMs = 1_000;
  const wait = (ms: number) => {
    nowMs += ms;
  };
  work(new Progress(output, "backing up", () => nowMs), wait);
  return { lines, overwritten };
}

describe("Progress", () => {
  it("says nothing about work that is over at once", () => {
    const { lines, overwritten } = watched(true, (progress, wait) => {
      progress.show(1, 2);
      wait(100);
      progress.show(2, 2);
      progress.end();
    });
    expect([...lines, ...overwritten]).toEqual([]);
  });

  it("draws a bar with rate and time left over itself on a terminal, and wipes it at the end", () => {
    const { lines, overwritten } = watched(true, (progress, wait) => {
      wait(2_000);
      progress.show(100 * MiB, 400 * MiB);
      progress.end();
    });
    expect(lines).toEqual([]);
    expect(overwritten).toEqual([
      "backing up [######..................]  25 %  100 MiB of 400 MiB, 50.0 MiB/s, 0:06 left",
      "",
    ]);
  });

  it("writes a plain line every five seconds where nobody watches", () => {
    const { lines, overwritten } = watched(false, (progress, wait) => {
      for (let second = 1; second <= 12; second++) {
        wait(1_000);
        progress.show(second * 10 * MiB, 7_200 * 10 * MiB);
      }
      progress.end();
    });
    expect(overwritten).toEqual([]);
    expect(lines).toEqual([
      "backing up: 0 %, 50.0 MiB of 70.3 GiB, 10.0 MiB/s, 1:59:55 left",
      "backing up: 0 %, 100 MiB of 70.3 GiB, 10.0 MiB/s, 1:59:50 left",
    ]);
  });
});
