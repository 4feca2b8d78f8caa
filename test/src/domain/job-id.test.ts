import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jobIdOf, parseJobId, pointWireIdOf, timeOfJobId } from "../../../src/domain/job-id.ts";

describe("a job's id", () => {
  const key = { kind: "Backup", subject: "web-1-abc", at: new Date("2026-03-01T02:00:00Z"), nonce: "" };

  it("is the same for the same work, and another for another", () => {
    expect(jobIdOf(key)).toBe(jobIdOf({ ...key, at: new Date(key.at) }));
    const others = [
      { ...key, kind: "Restore" },
      { ...key, subject: "web-2-abc" },
      { ...key, at: new Date(key.at.getTime() + 1) },
      { ...key, nonce: "1" },
      // Parts must not run into each other.
      { ...key, kind: "Backupweb", subject: "-1-abc" },
    ];
    expect(new Set([key, ...others].map(jobIdOf)).size).toBe(6);
  });

  it("is a uuid of version 8 that tells its time, and sorts newest first as text", () => {
    const at = fc.date({ min: new Date(0), max: new Date("9000-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(at, at, fc.string(), (one, other, subject) => {
        const [id, otherId] = [jobIdOf({ ...key, subject, at: one }), jobIdOf({ ...key, at: other })];
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(timeOfJobId(id)).toEqual(one);
        expect(parseJobId(id.toUpperCase())).toBe(id);
        if (one.getTime() !== other.getTime()) expect(id < otherId).toBe(one > other);
      }),
    );
  });

  it("that nobody can have given is not found", () => {
    for (const text of ["", "x", "00000000-0000-4000-8000-000000000000"]) {
      expect(() => parseJobId(text)).toThrow(expect.objectContaining({ kind: "not-found" }));
    }
  });

  it("gives its recovery point 15 digits, always the same, that grow with time", () => {
    // Azure has no backups from before 2001, when milliseconds had a digit less, nor from after 2286.
    const at = fc.date({ min: new Date("2002-01-01"), max: new Date("2286-01-01"), noInvalidDate: true });
    fc.assert(
      fc.property(at, at, (one, other) => {
        const [id, otherId] = [one, other].map((time) => pointWireIdOf(jobIdOf({ ...key, at: time })));
        expect(id).toMatch(/^[1-9][0-9]{14}$/);
        expect(pointWireIdOf(jobIdOf({ ...key, at: one }))).toBe(id);
        if (one.getTime() !== other.getTime()) expect(Number(id) < Number(otherId)).toBe(one < other);
      }),
    );
  });
});
