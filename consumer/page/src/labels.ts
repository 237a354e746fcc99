/** Where labels stand, so that each can be read. All in pixels of the screen. */

export interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const SMALL_BOX_PX = 60;
/** A label that covers another one is so much worse than one that covers a small object. */
const WORSE = 8;

/** Letters are smaller on a small box, and still can be read. */
export function fontSize(box: Rectangle): 10 | 12 {
  return isSmall(box) ? 10 : 12;
}

/** Whether a label would hide much of what is in the box. */
export function isSmall(box: Rectangle): boolean {
  return Math.min(box.right - box.left, box.bottom - box.top) < SMALL_BOX_PX;
}

/** Find a place for a label: on the box's upper edge if that is free, else inside, at its lower edge, below it.
 *
 * Where all of them are taken it is the one that covers the least of other labels, then of `spared` boxes.
 */
export function place(
  box: Rectangle,
  label: Size,
  room: Size,
  taken: readonly Rectangle[],
  spared: readonly Rectangle[] = [],
): Rectangle {
  let best: Rectangle | null = null;
  let least = Infinity;
  for (const candidate of places(box, label, room)) {
    const covered = WORSE * coveredOf(taken, candidate) + coveredOf(spared, candidate);
    if (covered < least) [best, least] = [candidate, covered];
    if (covered === 0) break;
  }
  return best!;
}

/** Every place within the picture, the best first; at the left of the box, then at its right. */
function places(box: Rectangle, { width, height }: Size, room: Size): Rectangle[] {
  const above = box.top - height;
  const tops = [above, box.top, box.bottom - height, box.bottom, box.top + height, above - height];
  const within = tops.filter((top) => top >= 0 && top + height <= room.height);
  if (within.length === 0) within.push(Math.max(0, Math.min(box.top, room.height - height)));
  return [box.left, box.right - width].flatMap((wanted) => {
    const left = Math.max(0, Math.min(wanted, room.width - width));
    return within.map((top) => ({ left, top, right: left + width, bottom: top + height }));
  });
}

function coveredOf(others: readonly Rectangle[], by: Rectangle): number {
  return others.reduce((sum, other) => sum + overlap(by, other), 0);
}

function overlap(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}
