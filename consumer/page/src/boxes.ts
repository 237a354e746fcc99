import { colourOf } from "./colours";
import type { Detection, Frame } from "./frame";
import { fontSize, isSmall, place, type Rectangle, type Size } from "./labels";

const LABEL_AT_MOST = 28;
/** Marks that turn the direction of what follows; on a canvas nothing else would hold them in. */
const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Draw a frame's boxes on a canvas of any size that lies exactly over the picture.
 *
 * `perPixel` is how many canvas pixels make one pixel on the screen: lines and letters keep their size.
 */
export function drawBoxes(canvas: HTMLCanvasElement, frame: Frame, perPixel: number): void {
  const context = canvas.getContext("2d")!;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const scale = { x: canvas.width / frame.width, y: canvas.height / frame.height };
  for (const detection of frame.detections) strokeBox(context, detection, scale, perPixel);
  const boxes = frame.detections.map((detection) => onScreen(detection, scale, perPixel));
  const spared = boxes.filter(isSmall);
  const taken: Rectangle[] = [];
  for (const [at, detection] of frame.detections.entries()) {
    const find = (size: Size, room: Size): Rectangle => place(boxes[at]!, size, room, taken, spared);
    taken.push(writeLabel(context, detection, fontSize(boxes[at]!), perPixel, find));
  }
}

export function colour(detection: Detection): string {
  return detection.redacted ? "#f2f4f7" : colourOf(detection.label);
}

export function label(detection: Detection): string {
  const whole = [...detection.label.replace(DIRECTIONS, "")];
  const name = whole.length > LABEL_AT_MOST ? `${whole.slice(0, LABEL_AT_MOST).join("")}…` : whole.join("");
  return `${name} ${Math.round(100 * detection.confidence)}%${detection.redacted ? " · redacted" : ""}`;
}

interface Scale {
  readonly x: number;
  readonly y: number;
}

/** The line lies just inside the box, so that it never leaves the picture; redacted ones are dashed. */
function strokeBox(context: CanvasRenderingContext2D, found: Detection, scale: Scale, perPixel: number): void {
  const line = Math.max(1, 2 * perPixel);
  const [left, top, right, bottom] = found.box;
  const width = Math.max((right - left) * scale.x - line, 0.1);
  const height = Math.max((bottom - top) * scale.y - line, 0.1);
  context.lineWidth = line;
  context.strokeStyle = colour(found);
  context.setLineDash(found.redacted ? [5 * perPixel, 4 * perPixel] : []);
  context.strokeRect(left * scale.x + line / 2, top * scale.y + line / 2, width, height);
}

/** The label stands where `find` says; returns what it covers. */
function writeLabel(
  context: CanvasRenderingContext2D,
  found: Detection,
  font: number,
  perPixel: number,
  find: (label: Size, room: Size) => Rectangle,
): Rectangle {
  const words = label(found);
  context.setTransform(perPixel, 0, 0, perPixel, 0, 0);
  context.font = `600 ${font}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.direction = "ltr";
  const size = { width: context.measureText(words).width + 8, height: font + 5 };
  const room = { width: context.canvas.width / perPixel, height: context.canvas.height / perPixel };
  const at = find(size, room);
  context.fillStyle = colour(found);
  context.fillRect(at.left, at.top, size.width, size.height);
  context.fillStyle = "#0b0e12";
  context.fillText(words, at.left + 4, at.top + size.height / 2 + 0.5);
  context.setTransform(1, 0, 0, 1, 0, 0);
  return at;
}

function onScreen({ box }: Detection, scale: Scale, perPixel: number): Rectangle {
  return {
    left: (box[0] * scale.x) / perPixel,
    top: (box[1] * scale.y) / perPixel,
    right: (box[2] * scale.x) / perPixel,
    bottom: (box[3] * scale.y) / perPixel,
  };
}
