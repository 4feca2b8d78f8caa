// Names of instances and of their executions: what is allowed, and how the next one is made.

/** Executions of one instance share 24 random hex digits; the last 8 count its generations. */
export function newExecution(newId: () => string): string {
  return `${newId().slice(0, 24)}00000000`;
}

export function nextExecution(execution: string): string {
  const generation = Number.parseInt(execution.slice(24), 16) + 1;
  return execution.slice(0, 24) + generation.toString(16).padStart(8, "0");
}

const INVALID_CHARACTERS = /[/\\?#\p{Cc}]/u;
const MAX_ID_LENGTH = 256;

export function invalidInstanceId(id: string): string | undefined {
  if (id.length === 0 || id.length > MAX_ID_LENGTH) return `Instance ids have 1 to ${MAX_ID_LENGTH} characters.`;
  if (id.startsWith("@") || INVALID_CHARACTERS.test(id))
    return "Instance ids must not start with '@' or contain '/', '\\', '?', '#' or control characters.";
  return undefined;
}

export function invalidEntityKey(key: string): string | undefined {
  if (key.length > MAX_ID_LENGTH) return `Entity keys have at most ${MAX_ID_LENGTH} characters.`;
  if (INVALID_CHARACTERS.test(key)) return "Entity keys must not contain '/', '\\', '?', '#' or control characters.";
  return undefined;
}
