import type { Frame } from "./frame";

/** What a tile says of a frame's objects. */
export interface Findings {
  /** The most frequent first. */
  readonly counts: readonly (readonly [label: string, count: number])[];
  /** In place of the counts, where there is nothing to count and yet something to say. */
  readonly nothing: string;
  /** Why the picture is black as a whole, else empty. */
  readonly blackout: string;
}

/** Sum up what was found, and what a redaction made of it. */
export function findings(frame: Frame, isBlack: boolean): Findings {
  const counts = new Map<string, number>();
  for (const { label } of frame.detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  return {
    counts: [...counts].sort((a, b) => b[1] - a[1]),
    nothing: frame.kind === "redaction" && frame.searched && !isBlack && frame.detections.every((d) => !d.redacted) ? "nothing found to black out" : "",
    blackout: blackout(frame, isBlack),
  };
}

/** A redaction blacks out everything where no detector looked for what it must hide. */
function blackout(frame: Frame, isBlack: boolean): string {
  if (frame.kind !== "redaction" || !frame.detections.every(({ redacted }) => redacted)) return "";
  if (!frame.searched) return "blacked out whole: no detector looked";
  if (!isBlack) return "";
  if (isCovered(frame)) return "all black: what is hidden fills the picture";
  return "all black: no detector looked for what is to be hidden, or the camera sees nothing";
}

/** Black boxes grow to whole blocks of the JPEG, so many pixels wide and high. */
const BLOCK_PX = 16;

/** Whether the black boxes, grown to whole blocks, leave nothing of the picture. */
function isCovered({ width, height, detections }: Frame): boolean {
  const boxes = detections.filter(({ redacted }) => redacted).map(({ box }) => box);
  for (let y = 0; y < height; y += BLOCK_PX) {
    for (let x = 0; x < width; x += BLOCK_PX) {
      const isHidden = boxes.some(([left, top, right, bottom]) => left < x + BLOCK_PX && right > x && top < y + BLOCK_PX && bottom > y);
      if (!isHidden) return false;
    }
  }
  return boxes.length > 0;
}
