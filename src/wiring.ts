// Configuration and the process's own facts become dependencies here, once. This is the only file between the triggers
// and the real world that may read the clock, randomness and the environment.

/** When this process began to serve. */
export const startedAt: Date = new Date();
