// The listing of a container of classic disks as XML, with the snapshots of each blob before the blob itself. Pure.

export interface ListedBlob {
  readonly name: string;
  /** Of a snapshot: its time. */
  readonly snapshot: string | undefined;
  readonly sizeBytes: number;
  readonly modifiedAt: number;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export function blobListXml(container: string, blobs: readonly ListedBlob[], next: string | undefined): string {
  const items = blobs.map(blobXml).join("");
  const name = container.slice(container.lastIndexOf("/") + 1);
  return `\u{feff}<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="${name}"><Blobs>${items}</Blobs><NextMarker>${next ?? ""}</NextMarker></EnumerationResults>`;
}

function blobXml({ name, snapshot, sizeBytes, modifiedAt, etag, metadata }: ListedBlob): string {
  const properties = [
    `<Last-Modified>${new Date(modifiedAt).toUTCString()}</Last-Modified>`,
    `<Etag>${etag.replaceAll('"', "")}</Etag>`,
    `<Content-Length>${sizeBytes}</Content-Length>`,
    "<Content-Type>application/octet-stream</Content-Type><BlobType>PageBlob</BlobType>",
  ].join("");
  const pairs = Object.entries(metadata).map(([key, value]) => `<${key}>${escaped(value)}</${key}>`);
  const time = snapshot === undefined ? "" : `<Snapshot>${snapshot}</Snapshot>`;
  return `<Blob><Name>${escaped(name)}</Name>${time}<Properties>${properties}</Properties><Metadata>${pairs.join("")}</Metadata></Blob>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
