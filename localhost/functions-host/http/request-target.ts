// The first line and the Host of a request, read the way Kestrel (the real host's server) reads them: the path is
// percent-decoded except `%2F`, what is no valid encoding stays as it came, dot segments are resolved after decoding,
// and repeated query keys are joined with a comma. What no server should accept is undefined: the caller answers 400. Pure.

export interface RequestTarget {
  /** As sent, query included: what an absolute address and a proxied request are made of. */
  readonly raw: string;
  readonly rawPath: string;
  /** Without the question mark. */
  readonly rawQuery: string;
  /** Decoded, dot segments resolved; begins with a slash. */
  readonly path: string;
}

const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

export function parseRequestTarget(text: string): RequestTarget | undefined {
  if (!PRINTABLE_ASCII.test(text)) return undefined;
  const raw = text.startsWith("/") ? text : originForm(text);
  if (raw === undefined) return undefined;
  const question = raw.indexOf("?");
  const rawPath = question < 0 ? raw : raw.slice(0, question);
  const decoded = decodePercent(rawPath, true);
  if (decoded.includes("\0")) return undefined;
  return {
    raw,
    rawPath,
    rawQuery: question < 0 ? "" : raw.slice(question + 1),
    path: decoded.includes("/.") ? removeDotSegments(decoded) : decoded,
  };
}

/** Proxies are asked with a whole address; only its path and query matter here. */
function originForm(text: string): string | undefined {
  const authority = ABSOLUTE_FORM.exec(text)?.[0];
  if (authority === undefined) return undefined;
  const rest = text.slice(authority.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** Keys regardless of case, spelled as first seen; values of a repeated key joined with a comma. */
export function parseQuery(rawQuery: string): Record<string, string> {
  const query: Record<string, string> = Object.create(null);
  if (rawQuery === "") return query;
  const spellings = new Map<string, string>();
  for (const pair of rawQuery.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const key = decodeQueryText(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decodeQueryText(pair.slice(equals + 1));
    const spelling = spellings.get(key.toLowerCase());
    if (spelling === undefined) {
      spellings.set(key.toLowerCase(), key);
      query[key] = value;
    } else {
      query[spelling] = `${query[spelling]},${value}`;
    }
  }
  return query;
}

/** A Host that can stand in an address. Asked for each request, so the last answers are kept. */
export function isUsableHost(host: string): boolean {
  const known = judgedHosts.get(host);
  if (known !== undefined) return known;
  const usable = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d+)?$/i.test(host) && URL.canParse(`http://${host}/`);
  if (judgedHosts.size >= 100) judgedHosts.clear();
  judgedHosts.set(host, usable);
  return usable;
}

const judgedHosts = new Map<string, boolean>();

function decodeQueryText(text: string): string {
  return decodePercent(text.replaceAll("+", " "), false);
}

function decodePercent(text: string, keepSlash: boolean): string {
  if (!text.includes("%")) return text;
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    if (!keepSlash) return decodeRun(run);
    return run
      .split(/(%2f)/i)
      .map((piece) => (/^%2f$/i.test(piece) ? piece : decodeRun(piece)))
      .join("");
  });
}

function decodeRun(run: string): string {
  try {
    return decodeURIComponent(run);
  } catch {
    return decodeWhatIsValid(run);
  }
}

/** Some bytes of the run are no UTF-8: they stay encoded, the characters around them do not suffer. */
function decodeWhatIsValid(run: string): string {
  let decoded = "";
  let at = 0;
  while (at < run.length) {
    const lead = Number.parseInt(run.slice(at + 1, at + 3), 16);
    const bytes = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    const sequence = run.slice(at, at + 3 * bytes);
    const character = decodeSequence(sequence);
    decoded += character ?? run.slice(at, at + 3);
    at += character === undefined ? 3 : sequence.length;
  }
  return decoded;
}

function decodeSequence(sequence: string): string | undefined {
  try {
    return decodeURIComponent(sequence);
  } catch {
    return undefined;
  }
}

function removeDotSegments(path: string): string {
  const segments = path.slice(1).split("/");
  const kept: string[] = [];
  segments.forEach((segment, index) => {
    if (segment === "..") kept.pop();
    else if (segment !== ".") kept.push(segment);
    const isLast = index === segments.length - 1;
    if (isLast && (segment === "." || segment === "..")) kept.push("");
  });
  return `/${kept.join("/")}`;
}
