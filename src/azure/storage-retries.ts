// How often the Blob client repeats a request: a few times within seconds. Longer waits are for whoever asked.

import type { StorageRetryOptions } from "@azure/storage-blob";

export const STORAGE_RETRIES: StorageRetryOptions = { maxTries: 4, retryDelayInMs: 300, maxRetryDelayInMs: 5_000 };
