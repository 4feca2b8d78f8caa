// A disk to be restored to. It begins as zeros, so ranges of zeros are never written.

export interface DiskSink {
  /** Any order, several at once, each offset at most once. The bytes may be reused by the caller afterwards. */
  write(offset: number, bytes: Uint8Array): Promise<void>;

  /** Makes everything durable. A restore without it has not happened. */
  finish(): Promise<void>;

  /** Gives up what was written, when it cannot be finished. Nothing is left that could be taken for a disk. */
  discard(): Promise<void>;
}
