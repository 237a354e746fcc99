import { encode } from "@msgpack/msgpack";

/** The header of a JPEG of that size, as far as the page reads it before decoding. */
export function jpegHeader(width: number, height: number): Uint8Array {
  const start = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0];
  const size = [0xff, 0xc0, 0, 11, 8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0];
  return new Uint8Array([...start, ...size, 0xff, 0xda, 0, 2]);
}

export function fields(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    v: 1,
    source: "cam0",
    epoch: "e",
    sequence: 7,
    run: "live",
    captured_ns: 1_790_000_000_123_456_789n,
    width: 640,
    height: 480,
    image: jpegHeader(640, 480),
    detections: [{ label: "dog", confidence: 0.5, box: [1, 2, 30, 40] }],
    trail: [
      { stage: "cam0", kind: "producer", topic: "A" },
      { stage: "ai", kind: "imageaiProcessor", topic: "B", model: { name: "yolov3-tiny", digest: "00" } },
    ],
    ...changes,
  };
}

export function record(changes: Record<string, unknown> = {}): Uint8Array {
  return encode(fields(changes), { useBigInt64: true, ignoreUndefined: true });
}
