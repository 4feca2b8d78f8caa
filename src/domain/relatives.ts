// Which machines are likely to hold the same blocks at the same places: those made from one image; where no image is known,
// those with the same operating system on a disk of the same size.

export interface RelativeFacts {
  readonly osType: "Windows" | "Linux";
  readonly osDiskBytes: number;
  readonly imageReference: string | undefined;
}

/** Of at most 300 characters; longer references are cut, and a wrong guess costs nothing but the comparison. */
export function relativeKeyOf({ osType, osDiskBytes, imageReference }: RelativeFacts): string {
  if (imageReference === undefined) return `os:${osType.toLowerCase()}:${osDiskBytes}`;
  return `image:${imageReference.toLowerCase()}`.slice(0, 300);
}
