// Storage accounts of the customer's, where a restore leaves what a person or a script needs to go on with its disks.

export interface Staging {
  /** Where the account is; undefined when it is not there. */
  readAccount(accountId: string): Promise<{ readonly location: string } | undefined>;

  /** Writes text files into a container, which is made if it is not there; overwrites what an earlier call wrote. */
  write(accountId: string, containerName: string, files: readonly StagedFile[]): Promise<readonly StagedBlob[]>;
}

export interface StagedFile {
  readonly name: string;
  readonly text: string;
}

export interface StagedBlob {
  readonly name: string;
  readonly url: string;
}
