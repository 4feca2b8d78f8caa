// JSON as people write it into settings files: with comments and trailing commas, as the real host reads it.

export function parseJsonWithComments(text: string): unknown {
  return JSON.parse(withoutComments(text.replace(/^\uFEFF/, "")));
}

// Strings are matched first, so that what looks like a comment or a trailing comma inside them stays.
const STRING_OR_COMMENT = /"(?:\\.|[^"\\])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
const STRING_OR_TRAILING_COMMA = /"(?:\\.|[^"\\])*"|,(?=\s*[}\]])/g;

function withoutComments(text: string): string {
  const keepStrings = (match: string): string => (match.startsWith('"') ? match : "");
  return text.replaceAll(STRING_OR_COMMENT, keepStrings).replaceAll(STRING_OR_TRAILING_COMMA, keepStrings);
}
