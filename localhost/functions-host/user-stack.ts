// Stack traces as the author of the app wants them: only frames of their own files, with paths relative to the app.
// The host's frames, Node's and those of packages go; if nothing else is left, the innermost ones of packages stay.

import Module from "node:module";
import { relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const HOST_FOLDER = fileURLToPath(new URL("..", import.meta.url));
const FRAME = /^\s+at (.*)$/;
/** `run (/app/mail.ts:12:9)`, or without a name `/app/mail.ts:12:9`. */
const PLACE = /^(?:(?<name>.*?) \((?<named>.+?)(?<at>:\d+:\d+)\)|(?:async )?(?<bare>.+?)(?<bareAt>:\d+:\d+))$/;
const PACKAGE_FILE = /[\\/]node_modules[\\/]/;
const MOST_PACKAGE_FRAMES = 3;

/**
 * Makes stacks of transpiled code tell of its sources, for files loaded from now on. Packages are left out: reading
 * their maps would slow the start down, and their frames are not shown.
 */
export function mapStacksToSources(): void {
  Module.setSourceMapsSupport(true, { nodeModules: false, generatedCode: false });
}

/** Takes an error's stack, and gives back its message with the frames worth reading. */
export function trimStack(stack: string, appFolder: string): string {
  const lines: string[] = [];
  const packageFrames: string[] = [];
  let ownFrames = 0;
  for (const line of stack.split("\n")) {
    const frame = FRAME.exec(line)?.[1];
    if (frame === undefined) {
      lines.push(line);
      continue;
    }
    const place = placeOf(frame);
    if (place === undefined || place.file.startsWith(HOST_FOLDER)) continue;
    const shown = `    at ${place.name}${shorten(place.file, appFolder)}${place.at}${place.name === "" ? "" : ")"}`;
    if (PACKAGE_FILE.test(place.file)) packageFrames.push(shown);
    else lines.push(shown);
    ownFrames += PACKAGE_FILE.test(place.file) ? 0 : 1;
  }
  return [...lines, ...(ownFrames === 0 ? packageFrames.slice(0, MOST_PACKAGE_FRAMES) : [])].join("\n");
}

/** Undefined: a frame of Node itself or of native code. */
function placeOf(frame: string): { name: string; file: string; at: string } | undefined {
  const { name, named, at, bare, bareAt } = PLACE.exec(frame)?.groups ?? {};
  const file = named ?? bare;
  if (file === undefined || file.startsWith("node:")) return undefined;
  return { name: name === undefined ? "" : `${name} (`, file: pathOf(file), at: at ?? bareAt ?? "" };
}

function pathOf(file: string): string {
  if (!file.startsWith("file:")) return file;
  try {
    return fileURLToPath(file);
  } catch {
    // A loader may name its modules as it likes.
    return file;
  }
}

function shorten(file: string, appFolder: string): string {
  const folder = resolve(appFolder) + sep;
  return file.startsWith(folder) ? relative(folder, file) : file;
}
