/** Ten colours that stay apart from each other and from most pictures. */
const COLOURS = [
  "#ff5a5f", "#2ec4ff", "#ffc53d", "#5ee083", "#c88bff",
  "#ff8f3f", "#3fe0d0", "#ff7ac8", "#b8e04a", "#8fa8ff",
];

/** The colour of a label: always the same, in every tile and after every start. */
export function colourOf(label: string): string {
  let hash = 2166136261; // FNV-1a
  for (const char of label) hash = Math.imul(hash ^ char.codePointAt(0)!, 16777619);
  return COLOURS[(hash >>> 0) % COLOURS.length]!;
}
