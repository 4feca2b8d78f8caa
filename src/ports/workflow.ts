// Starting orchestrations and asking about them. The engine's instance ids do not deduplicate once an instance has ended:
// what must happen exactly once is decided by rows, never here.

export interface Workflow {
  /** Starts an instance under this id. One that is still running under it is left alone. */
  start(orchestrator: string, instanceId: string, input: unknown): Promise<void>;

  /** "over" when it ended in any way; "absent" when it never was or is purged. */
  stateOf(instanceId: string): Promise<"running" | "over" | "absent">;
}
