// Durations as .NET writes them, because timer schedules do: "hh:mm:ss", "d.hh:mm:ss", "d". Pure.

/** In the order in which .NET tries them: the first form whose parts are in range holds. */
const FORMS = [
  /^(?<hours>\d{1,2}):(?<minutes>\d{1,2})(?::(?<seconds>\d{1,2})(?:\.(?<fraction>\d{1,7}))?)?$/,
  /^(?<days>\d{1,8})\.(?<hours>\d{1,2}):(?<minutes>\d{1,2})(?::(?<seconds>\d{1,2})(?:\.(?<fraction>\d{1,7}))?)?$/,
  /^(?<days>\d{1,8}):(?<hours>\d{1,2}):(?<minutes>\d{1,2}):(?<seconds>\d{1,2})(?:\.(?<fraction>\d{1,7}))?$/,
  // A trap that the documentation of timer triggers warns of: "24:00:00" is 24 days, as 24 is no hour.
  /^(?<days>\d{1,8}):(?<hours>\d{1,2}):(?<minutes>\d{1,2})$/,
  /^(?<days>\d{1,8})$/,
];

/** Milliseconds, or undefined when the text is no duration. Negative ones, which .NET knows, are no period. */
export function parseTimeSpan(text: string): number | undefined {
  for (const form of FORMS) {
    const spanMs = sumMs(form.exec(text.trim())?.groups);
    if (spanMs !== undefined) return spanMs;
  }
  return undefined;
}

function sumMs(parts: Readonly<Record<string, string | undefined>> | undefined): number | undefined {
  if (parts === undefined) return undefined;
  const { days = "0", hours = "0", minutes = "0", seconds = "0", fraction = "0" } = parts;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const wholeSeconds = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return wholeSeconds * 1000 + Math.round(Number(`0.${fraction}`) * 1000);
}
