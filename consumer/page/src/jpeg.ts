import { FrameError } from "./frame";

export const MAX_PIXELS = 40_000_000;

const START = 0xd8;
const END = 0xd9;
const SCAN = 0xda;

/** Read a JPEG's size from its header, before anything is decoded.
 *
 * A few hundred bytes may claim gigabytes of pixels, and a decoder would try. Throws FrameError.
 */
export function jpegSize(bytes: Uint8Array): { width: number; height: number } {
  if (bytes[0] !== 0xff || bytes[1] !== START) throw new FrameError("the picture is no JPEG");
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) throw new FrameError("the picture's header is damaged");
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at += 1; // fill
      continue;
    }
    if (marker === SCAN || marker === END || marker === START) break;
    const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (isFrameHeader(marker)) return size(bytes, at + 4, length);
    at += 2 + length;
  }
  throw new FrameError("the picture has no header");
}

/** SOF0 to SOF15, without the three that are something else (T.81, table B.1). */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function size(bytes: Uint8Array, at: number, length: number): { width: number; height: number } {
  if (length < 8 || at + 5 > bytes.length) throw new FrameError("the picture's header is cut short");
  const height = (bytes[at + 1]! << 8) | bytes[at + 2]!;
  const width = (bytes[at + 3]! << 8) | bytes[at + 4]!;
  if (width === 0 || height === 0 || width * height > MAX_PIXELS) {
    throw new FrameError(`the picture claims ${width}×${height} pixels`);
  }
  return { width, height };
}
