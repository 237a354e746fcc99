import { FrameError } from "./frame";

/** As docs/frame.md promises to writers; the record's own map is the first level. */
const MAX_DEPTH = 100;
const MAX_ITEMS = 200_000;

/** Walk a msgpack value without building anything, so that no record can exhaust the decoder's memory.
 *
 * Throws FrameError where it nests too deep, has too many items, is cut short or is followed by something.
 */
export function checkBounds(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const open: number[] = [1]; // how many values are still to come, a level each
  let at = 0;
  let items = 0;

  const take = (count: number): number => {
    const begin = at;
    at += count;
    if (at > bytes.length) throw new FrameError("the record is cut short");
    return begin;
  };
  const length = (size: 1 | 2 | 4): number => {
    const begin = take(size);
    return size === 1 ? view.getUint8(begin) : size === 2 ? view.getUint16(begin) : view.getUint32(begin);
  };

  while (open.length > 0) {
    const left = open[open.length - 1]!;
    if (left === 0) {
      open.pop();
      continue;
    }
    open[open.length - 1] = left - 1;
    if (++items > MAX_ITEMS) throw new FrameError(`the record has more than ${MAX_ITEMS} items`);
    const children = skip(view.getUint8(take(1)), take, length);
    if (children > 0) {
      if (open.length > MAX_DEPTH) throw new FrameError(`the record nests deeper than ${MAX_DEPTH} levels`);
      open.push(children);
    }
  }
  if (at !== bytes.length) throw new FrameError("something follows the record's map");
}

/** Skip one head and its own bytes; return how many values it holds. */
function skip(head: number, take: (count: number) => number, length: (size: 1 | 2 | 4) => number): number {
  if (head <= 0x7f || head >= 0xe0) return 0; // fixint
  if (head <= 0x8f) return 2 * (head & 0x0f); // fixmap
  if (head <= 0x9f) return head & 0x0f; // fixarray
  if (head <= 0xbf) return take(head & 0x1f), 0; // fixstr
  switch (head) {
    case 0xc0: case 0xc2: case 0xc3: return 0; // nil, false, true
    case 0xc4: case 0xd9: return take(length(1)), 0; // bin 8, str 8
    case 0xc5: case 0xda: return take(length(2)), 0;
    case 0xc6: case 0xdb: return take(length(4)), 0;
    case 0xc7: return take(length(1) + 1), 0; // ext 8
    case 0xc8: return take(length(2) + 1), 0;
    case 0xc9: return take(length(4) + 1), 0;
    case 0xcc: case 0xd0: return take(1), 0; // 8 bits
    case 0xcd: case 0xd1: return take(2), 0;
    case 0xca: case 0xce: case 0xd2: return take(4), 0;
    case 0xcb: case 0xcf: case 0xd3: return take(8), 0;
    case 0xd4: return take(2), 0; // fixext 1
    case 0xd5: return take(3), 0;
    case 0xd6: return take(5), 0;
    case 0xd7: return take(9), 0;
    case 0xd8: return take(17), 0;
    case 0xdc: return length(2); // array 16
    case 0xdd: return length(4);
    case 0xde: return 2 * length(2); // map 16
    case 0xdf: return 2 * length(4);
    default: throw new FrameError("the record is no msgpack");
  }
}
