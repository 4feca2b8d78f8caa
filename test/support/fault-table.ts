// Every kind of fault of the simulated Azure in every phase of a backup and its restores: what is let go wrong, and how the
// job ends. Where a kind has no place in a phase, a sentence says why. Here is what happens on which day, as data; azure-day.ts
// lives the days.

import type { Fault } from "../../localhost/azure/faults/fault-plan.ts";
import type { JobStatus } from "../../src/domain/job.ts";

type Kind = Fault["kind"];

interface Where {
  readonly surface?: "arm" | "blob";
  readonly operation?: string;
}

export type Step = "backup" | "instant restore" | "removal" | "restore";

interface Phase {
  readonly step: Step;
  /** The port's call with which the phase begins: rules stand from then on, until the step is over. */
  readonly begins: RegExp;
  /** The requests that it consists of. */
  readonly where: Where;
}

/** In the order of the day. What they are said to do completes "while ...". */
export const PHASES = {
  "asking for the snapshot": {
    step: "backup",
    begins: /^snapshots\.begin$/,
    where: { operation: "restorepoint|resourcegroup" },
  },
  "looking at the snapshot": {
    step: "backup",
    begins: /^snapshots\.read$/,
    where: { operation: "^GET .*(restorepoint|disks)" },
  },
  "getting access to the snapshot": {
    step: "backup",
    begins: /^snapshots\.open$/,
    where: { operation: "begingetaccess|^GET operation|^head" },
  },
  "reading the snapshot": { step: "backup", begins: /^snapshots\.open\./, where: { surface: "blob" } },
  "ending access to the snapshot": {
    step: "backup",
    begins: /^snapshots\.close$/,
    where: { operation: "endgetaccess|^GET operation" },
  },
  "making disks of the snapshot": {
    step: "instant restore",
    begins: /^targets\.beginFromSnapshot$/,
    where: { operation: "(PUT|GET) .*disks$" },
  },
  "removing the snapshot": { step: "removal", begins: /^snapshots\.remove$/, where: { operation: "restorepoint" } },
  "making disks to write to": {
    step: "restore",
    begins: /^targets\.beginUpload$/,
    where: { operation: "(PUT|GET) .*disks$" },
  },
  "getting access to the disks": {
    step: "restore",
    begins: /^targets\.openForWriting$/,
    where: { operation: "begingetaccess|^GET operation" },
  },
  "writing the disks": { step: "restore", begins: /^targets\.openForWriting\./, where: { surface: "blob" } },
  "ending the upload": {
    step: "restore",
    begins: /^targets\.finishUpload$/,
    where: { operation: "endgetaccess|^GET operation|^write" },
  },
} as const satisfies Record<string, Phase>;

export type PhaseName = keyof typeof PHASES;

export interface Case {
  readonly fault: Fault;
  /** Narrower than the phase's. */
  readonly where?: Where;
  /** Whose snapshot: the backup's own, or the one that it is compared with. Anybody's if absent. */
  readonly of?: "own" | "base";
  /** The snapshot is named by no request of the phase: the test looks at it when the phase begins. */
  readonly isTouchedByTest?: true;
  readonly times: number;
  readonly probability?: number;
  /** What the phase's job ends as; Completed if absent. */
  readonly ends?: Exclude<JobStatus, "Completed">;
  /** With which that job says why. */
  readonly code?: string;
  /** Until the day is over, and not only until the job is. */
  readonly stands?: true;
}

type Row = Readonly<Record<PhaseName, readonly Case[] | string>>;

const PHASE_NAMES = Object.keys(PHASES) as PhaseName[];

const everywhere = (one: Case): Row => Object.fromEntries(PHASE_NAMES.map((phase) => [phase, [one]])) as unknown as Row;

/** What another attempt cures: more often than a client repeats a request by itself, so that steps are repeated as well. */
const cured = (fault: Fault): Row => everywhere({ fault, times: 6, probability: 0.7 });

const vanishing = (more: Partial<Case>): Case => ({ fault: { kind: "snapshot-vanishes" }, times: 1, ...more });
/** Not at the first looks, which find no disk of that name yet. */
const diskVanishing = vanishing({
  ...{ where: { operation: "^GET .*disks$" }, times: 6 },
  ...{ ends: "Failed", code: "HoldfastTargetDiskFailed" },
});
/** Azure says that it was its own fault: worth another attempt. */
const internal = (operation: string): Case => ({
  fault: { kind: "operation-fails", code: "InternalExecutionError", message: "Please retry later." },
  where: { operation },
  times: 2,
});
const refused = (operation: string, more: Partial<Case> = {}): Case => ({
  fault: { kind: "operation-fails", code: "RefusedByTest", message: "It is refused." },
  where: { operation },
  times: 1,
  ...more,
});
const early: Case = {
  fault: { kind: "sas-expires-early", share: 0 },
  where: { operation: "begingetaccess" },
  times: 2,
};
/** Azure's clock jumps, and stays. What it was to make is done in its own time: nothing has to wait for a clock set back. */
const ahead: Case = { fault: { kind: "clock-skew", skewSeconds: 180 }, times: 1, stands: true };
/** It jumps back by more than any margin: what was granted is not valid yet, what was made is not finished yet. */
const behind: Case = { fault: { kind: "clock-skew", skewSeconds: -1800 }, times: 1 };

const NO_OPERATION = "bytes are read and written by plain requests, which start no operation that could fail later";
const LOOKS_ONLY = "what is looked at was begun in an earlier phase: a look starts no operation";
const NO_GRANT = "no access is granted here that could end early";
const NOT_THERE_YET = "it is not there before it is asked for, and nothing else of the phase can vanish";

export const FAULT_TABLE: Readonly<Record<Kind, Row>> = {
  throttle: cured({ kind: "throttle", retryAfterSeconds: 7 }),
  error: cured({ kind: "error", status: 503 }),
  latency: cured({ kind: "latency", latencyMs: 20 }),
  drop: cured({ kind: "drop" }),
  truncate: cured({ kind: "truncate" }),
  "lost-answer": cured({ kind: "lost-answer" }),
  "clock-skew": {
    ...everywhere(ahead),
    "looking at the snapshot": [ahead, { ...behind, ends: "Failed", code: "HoldfastStepTooSlow" }],
    "reading the snapshot": [ahead, { ...behind, ends: "CompletedWithWarnings", code: "HoldfastSourceDenied" }],
    "writing the disks": [ahead, { ...behind, ends: "Failed", code: "AuthenticationFailed" }],
  },
  "snapshot-vanishes": {
    "asking for the snapshot": NOT_THERE_YET,
    "looking at the snapshot": [
      vanishing({ where: { operation: "^GET .*restorepoints$" }, ends: "Failed", code: "HoldfastSnapshotGone" }),
      vanishing({ where: { operation: "^GET .*diskrestorepoints$" }, ends: "Failed" }),
    ],
    "getting access to the snapshot": [
      vanishing({ where: { operation: "begingetaccess" }, of: "own", ends: "CompletedWithWarnings" }),
      vanishing({ where: { operation: "begingetaccess" }, of: "base" }),
    ],
    "reading the snapshot": [vanishing({ ends: "CompletedWithWarnings" })],
    "ending access to the snapshot": [
      vanishing({ where: { operation: "endgetaccess" }, of: "own" }),
      vanishing({ where: { operation: "endgetaccess" }, of: "base" }),
    ],
    "making disks of the snapshot": [
      vanishing({
        where: { operation: "^GET .*restorepoints$" },
        of: "own",
        isTouchedByTest: true,
      }),
      diskVanishing,
    ],
    "removing the snapshot": [
      vanishing({ where: { operation: "^GET .*restorepoints$" } }),
      vanishing({ where: { operation: "^DELETE .*restorepoints$" } }),
    ],
    "making disks to write to": [diskVanishing],
    "getting access to the disks": [vanishing({ where: { operation: "begingetaccess" }, ends: "Failed" })],
    "writing the disks": [vanishing({ ends: "Failed" })],
    "ending the upload": [vanishing({ where: { operation: "endgetaccess" }, ends: "Failed" })],
  },
  "operation-fails": {
    "asking for the snapshot": [refused("^PUT .*restorepoints$", { ends: "Failed", code: "RefusedByTest" })],
    "looking at the snapshot": LOOKS_ONLY,
    "getting access to the snapshot": [
      internal("begingetaccess"),
      refused("begingetaccess", { of: "own", ends: "CompletedWithWarnings", code: "RefusedByTest" }),
      refused("begingetaccess", { of: "base" }),
    ],
    "reading the snapshot": NO_OPERATION,
    "ending access to the snapshot": [internal("endgetaccess"), refused("endgetaccess", { of: "own" })],
    "making disks of the snapshot": [refused("^PUT .*disks$", { ends: "Failed", code: "HoldfastTargetDiskFailed" })],
    "removing the snapshot": [internal("^DELETE .*restorepoints$"), refused("^DELETE .*restorepoints$")],
    "making disks to write to": [refused("^PUT .*disks$", { ends: "Failed", code: "HoldfastTargetDiskFailed" })],
    "getting access to the disks": [
      internal("begingetaccess"),
      refused("begingetaccess", { ends: "Failed", code: "RefusedByTest" }),
    ],
    "writing the disks": NO_OPERATION,
    "ending the upload": [internal("endgetaccess"), refused("endgetaccess", { ends: "Failed", code: "RefusedByTest" })],
  },
  "sas-expires-early": {
    "asking for the snapshot": NO_GRANT,
    "looking at the snapshot": NO_GRANT,
    "getting access to the snapshot": [early],
    "reading the snapshot": NO_GRANT,
    "ending access to the snapshot": NO_GRANT,
    "making disks of the snapshot": NO_GRANT,
    "removing the snapshot": NO_GRANT,
    "making disks to write to": NO_GRANT,
    "getting access to the disks": [early],
    "writing the disks": NO_GRANT,
    "ending the upload": NO_GRANT,
  },
};

export interface Strike extends Case {
  readonly kind: Kind;
  readonly phase: PhaseName;
}

export interface Day {
  readonly title: string;
  readonly strikes: readonly Strike[];
}

/** As few days as will do: days are what takes time. */
export const DAYS: readonly Day[] = (Object.keys(FAULT_TABLE) as Kind[]).flatMap((kind) => {
  const days: Strike[][] = [];
  for (const strike of strikesOf(kind)) {
    const spoilt = phasesSpoiltBy(strike);
    const free = days.find((day) =>
      day.every((other) => !phasesSpoiltBy(other).some((phase) => spoilt.includes(phase))),
    );
    if (free) free.push(strike);
    else days.push([strike]);
  }
  return days.map((strikes) => {
    const phases = strikes.map(({ phase }) => phase).join(", ");
    return {
      title: strikes.length === PHASE_NAMES.length ? `${kind} in every phase` : `${kind} while ${phases}`,
      strikes,
    };
  });
});

/** What a job does not complete with is alone in its step, which is tried again; and so is what makes something vanish. */
function phasesSpoiltBy({ kind, phase, ends }: Strike): PhaseName[] {
  const isAlone = kind === "snapshot-vanishes" || ends !== undefined;
  return PHASE_NAMES.filter((other) => other === phase || (isAlone && PHASES[other].step === PHASES[phase].step));
}

function strikesOf(kind: Kind): Strike[] {
  return PHASE_NAMES.flatMap((phase) => {
    const cases = FAULT_TABLE[kind][phase];
    return typeof cases === "string" ? [] : cases.map((one) => ({ ...one, kind, phase }));
  });
}

/** The sentences of the table, taken at their word: the same faults there, at the phase's first requests. */
export const HARMLESS: readonly Strike[] = (Object.keys(FAULT_TABLE) as Kind[]).flatMap((kind) =>
  PHASE_NAMES.flatMap((phase) => {
    const [{ fault } = {}] = strikesOf(kind);
    return fault && typeof FAULT_TABLE[kind][phase] === "string" ? [{ kind, phase, fault, times: 3 }] : [];
  }),
);
