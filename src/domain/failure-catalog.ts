// What can go wrong in ways that users know by a code, as one table: what it means and what to do about it.

export interface CatalogEntry {
  /** The number of the code on the wire (`errorDetails[].errorCode`). */
  readonly number: number;
  readonly title: string;
  readonly message: string;
  readonly recommendedActions: readonly string[];
  /** The next run may succeed without anybody doing anything. */
  readonly isTransient: boolean;
}
