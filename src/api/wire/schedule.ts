// Schedules of policies on the wire: V1 ("simple") and V2, and the domain's schedule in both directions.

import { z } from "zod";
import type { PolicyType, Schedule } from "../../domain/policy.ts";
import { renderTimeOfDay, timeOfDay, weekdays } from "./calendar.ts";
import { oneOf, optional } from "./text.ts";

/** A machine is backed up once a day, or by the hour: several times on one day are for other workloads. */
const oneTime = z.tuple([timeOfDay], "needs exactly one time").transform(([only]) => only);

interface TypedSchedule {
  readonly type: PolicyType;
  readonly schedule: Schedule;
}

const V1 = "SimpleSchedulePolicy";
const V2 = "SimpleSchedulePolicyV2";

const simple = z
  .object({
    schedulePolicyType: z.literal(V1),
    scheduleRunFrequency: oneOf(["Daily", "Weekly"]),
    scheduleRunDays: optional(weekdays),
    scheduleRunTimes: oneTime,
  })
  .transform(({ scheduleRunFrequency: frequency, scheduleRunDays: days, scheduleRunTimes: time }): TypedSchedule => {
    const schedule: Schedule = frequency === "Daily" ? { frequency, time } : { frequency, days: days ?? [], time };
    return { type: "V1", schedule };
  });

const hourly = z.object({
  interval: z.number().int(),
  scheduleWindowStartTime: timeOfDay,
  scheduleWindowDuration: z.number().int(),
});

const v2Fields = z.object({
  schedulePolicyType: z.literal(V2),
  scheduleRunFrequency: oneOf(["Hourly", "Daily", "Weekly"]),
  hourlySchedule: optional(hourly),
  dailySchedule: optional(z.object({ scheduleRunTimes: oneTime })),
  weeklySchedule: optional(z.object({ scheduleRunDays: weekdays, scheduleRunTimes: oneTime })),
});

const simpleV2 = v2Fields.transform((wire, context): TypedSchedule => {
  const schedule = scheduleOf(wire);
  if (schedule !== undefined) return { type: "V2", schedule };
  const path = [`${wire.scheduleRunFrequency.toLowerCase()}Schedule`];
  context.addIssue({ code: "custom", path, message: "is what the frequency asks for" });
  return z.NEVER;
});

function scheduleOf(wire: z.infer<typeof v2Fields>): Schedule | undefined {
  const { scheduleRunFrequency: frequency, hourlySchedule, dailySchedule, weeklySchedule } = wire;
  if (frequency === "Daily" && dailySchedule) return { frequency, time: dailySchedule.scheduleRunTimes };
  if (frequency === "Weekly" && weeklySchedule) {
    return { frequency, days: weeklySchedule.scheduleRunDays, time: weeklySchedule.scheduleRunTimes };
  }
  if (frequency === "Hourly" && hourlySchedule) {
    const { interval, scheduleWindowStartTime, scheduleWindowDuration } = hourlySchedule;
    return {
      frequency,
      windowStart: scheduleWindowStartTime,
      intervalHours: interval,
      windowHours: scheduleWindowDuration,
    };
  }
  return undefined;
}

/** Schedules for other workloads are refused by their names: no machine has one. */
export const schedulePolicy = z.discriminatedUnion("schedulePolicyType", [simple, simpleV2]);

export function renderSchedule(type: PolicyType, schedule: Schedule): Record<string, unknown> {
  return type === "V1" ? renderSimple(schedule) : renderSimpleV2(schedule);
}

function renderSimple(schedule: Schedule): Record<string, unknown> {
  return {
    schedulePolicyType: V1,
    scheduleRunFrequency: schedule.frequency,
    ...(schedule.frequency === "Weekly" && { scheduleRunDays: schedule.days }),
    scheduleRunTimes: schedule.frequency === "Hourly" ? [] : [renderTimeOfDay(schedule.time)],
    scheduleWeeklyFrequency: 0,
  };
}

function renderSimpleV2(schedule: Schedule): Record<string, unknown> {
  const head = { schedulePolicyType: V2, scheduleRunFrequency: schedule.frequency };
  switch (schedule.frequency) {
    case "Daily":
      return { ...head, dailySchedule: { scheduleRunTimes: [renderTimeOfDay(schedule.time)] } };
    case "Weekly": {
      const weeklySchedule = {
        scheduleRunDays: schedule.days,
        scheduleRunTimes: [renderTimeOfDay(schedule.time)],
      };
      return { ...head, weeklySchedule };
    }
    case "Hourly": {
      const hourlySchedule = {
        interval: schedule.intervalHours,
        scheduleWindowStartTime: renderTimeOfDay(schedule.windowStart),
        scheduleWindowDuration: schedule.windowHours,
      };
      return { ...head, hourlySchedule };
    }
  }
}
