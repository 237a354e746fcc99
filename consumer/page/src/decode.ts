import { Decoder } from "@msgpack/msgpack";
import { type Box, type Detection, type Frame, FrameError } from "./frame";
import { jpegSize } from "./jpeg";
import { checkBounds } from "./msgpack-bounds";

const MAX_DETECTIONS = 1000;
const MAX_HOPS = 32;
const MAX_NAME_BYTES = 256;
const UTF8 = new TextEncoder();

type Fields = Record<string, unknown>;

/** Decode a record's value: its frame, and its picture, a JPEG whose header agrees with the frame.
 *
 * Whole numbers of 64 bits come as bigint, so that capture times stay exact. Throws FrameError.
 */
export function decodeFrame(bytes: Uint8Array): { frame: Frame; image: Uint8Array<ArrayBuffer> } {
  checkBounds(bytes);
  const fields = map(unpack(bytes), "the record");
  const { v = 1 } = fields;
  if (narrow(v) !== 1) throw new FrameError(`version ${text(String(v))} of the format is unknown`);
  const trail = list(fields["trail"], "trail", MAX_HOPS).map((hop) => map(hop, "a hop"));
  const frame: Frame = {
    source: name(fields["source"], "source"),
    epoch: name(fields["epoch"], "epoch"),
    sequence: count(fields["sequence"], "sequence"),
    capturedNs: count(fields["captured_ns"], "captured_ns"),
    width: side(fields["width"], "width"),
    height: side(fields["height"], "height"),
    detections: list(fields["detections"], "detections", MAX_DETECTIONS).map(detection),
    hops: trail.length,
    kind: String(trail.at(-1)?.["kind"] ?? ""),
    searched: trail.some(({ searched }) => Array.isArray(searched) && searched.length > 0),
    models: trail.flatMap((hop) => (hop["model"] == null ? [] : [name(map(hop["model"], "model")["name"], "model")])),
  };
  const image = fields["image"];
  if (!(image instanceof Uint8Array)) throw new FrameError("the record has no picture");
  checkPicture(frame, image);
  return { frame, image: image as Uint8Array<ArrayBuffer> };
}

function unpack(bytes: Uint8Array): unknown {
  try {
    return new Decoder({ useBigInt64: true, mapKeyConverter }).decode(bytes);
  } catch (error) {
    throw new FrameError(`the record is no msgpack: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Only the maps in attributes have other keys than text, and the page does not look at those. */
function mapKeyConverter(key: unknown): string | number {
  return typeof key === "string" || typeof key === "number" ? key : "(no text)";
}

function checkPicture(frame: Frame, image: Uint8Array): void {
  const { width, height } = jpegSize(image);
  if (width !== frame.width || height !== frame.height) {
    throw new FrameError(`the picture is ${width}×${height}, the frame says ${frame.width}×${frame.height}`);
  }
  for (const { box } of frame.detections) {
    if (box[2] > width || box[3] > height) throw new FrameError("a box lies outside the picture");
  }
}

function detection(value: unknown): Detection {
  const fields = map(value, "a detection");
  const confidence = narrow(fields["confidence"]);
  if (typeof confidence !== "number" || !(confidence >= 0 && confidence <= 1)) {
    throw new FrameError("a confidence is not between 0 and 1");
  }
  return {
    label: name(fields["label"], "label"),
    confidence,
    box: box(fields["box"]),
    redacted: fields["redacted"] === true,
  };
}

function box(value: unknown): Box {
  if (!Array.isArray(value) || value.length !== 4) throw new FrameError("a box has not four edges");
  const [left, top, right, bottom] = value.map(narrow);
  if (!isEdge(left) || !isEdge(top) || !isEdge(right) || !isEdge(bottom) || left >= right || top >= bottom) {
    throw new FrameError("a box is no box");
  }
  return [left, top, right, bottom];
}

function isEdge(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65535;
}

/** Whole numbers of 64 bits come as bigint, however small they are. */
function narrow(value: unknown): unknown {
  return typeof value === "bigint" ? Number(value) : value;
}

function map(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw new FrameError(`${what} is no map`);
  }
  return value as Fields;
}

function list(value: unknown, what: string, limit: number): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new FrameError(`${what} is no list`);
  if (value.length > limit) throw new FrameError(`${value.length} ${what}, at most ${limit} are allowed`);
  return value;
}

function name(value: unknown, what: string): string {
  if (typeof value !== "string" || value === "" || UTF8.encode(value).length > MAX_NAME_BYTES) {
    throw new FrameError(`${what} is no name`);
  }
  return value;
}

function count(value: unknown, what: string): bigint {
  const whole = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof whole !== "bigint" || whole < 0n) throw new FrameError(`${what} is no count`);
  return whole;
}

function side(value: unknown, what: string): number {
  const pixels = narrow(value);
  if (!isEdge(pixels) || pixels === 0) throw new FrameError(`${what} is no number of pixels`);
  return pixels;
}

function text(value: string): string {
  return value.slice(0, 40);
}
