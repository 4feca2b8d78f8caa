// What can be set about a task hub. Values come from host.json (extensions.durableTask) and the command line.

export interface HubSettings {
  readonly hubName: string;
  readonly maxConcurrentActivityFunctions: number;
  readonly maxConcurrentOrchestratorFunctions: number;
  readonly maxOrchestrationActions: number;
  /** Starting an id again whose instance is in one of these states is refused unless this is "AnyState". */
  readonly overridableExistingInstanceStates: "NonRunningStates" | "AnyState";
  /** Terminal instances older than this are purged; 0 keeps them for ever. */
  readonly keepFinishedDays: number;
  /** Compares the library's own id count with ours in each episode; for tests, as it looks into the library. */
  readonly checksSequence: boolean;
}
