import { encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { decodeFrame } from "../src/decode";
import { FrameError } from "../src/frame";
import { jpegHeader, record } from "./records";

test("a frame comes out with its capture time exact to the nanosecond", () => {
  const { frame, image } = decodeFrame(record());
  expect(frame).toEqual({
    source: "cam0",
    epoch: "e",
    sequence: 7n,
    capturedNs: 1_790_000_000_123_456_789n,
    width: 640,
    height: 480,
    detections: [{ label: "dog", confidence: 0.5, box: [1, 2, 30, 40], redacted: false }],
    hops: 2,
    kind: "imageaiProcessor",
    searched: false,
    models: ["yolov3-tiny"],
  });
  expect(image).toEqual(jpegHeader(640, 480));
});

test("a sequence beyond 2^53 stays exact", () => {
  expect(decodeFrame(record({ sequence: 2n ** 53n + 1n })).frame.sequence).toBe(9_007_199_254_740_993n);
});

test("fields that a writer may leave out have their defaults", () => {
  const { frame } = decodeFrame(record({ detections: undefined, trail: undefined, run: undefined }));
  expect(frame.detections).toEqual([]);
  expect(frame.hops).toBe(0);
});

test("the version may be left out", () => {
  expect(decodeFrame(record({ v: undefined })).frame.source).toBe("cam0");
  expect(() => decodeFrame(record({ v: null }))).toThrow(FrameError);
});

test("whole numbers may be written in more bits than they need", () => {
  const detections = [{ label: "dog", confidence: 1n, box: [1n, 2n, 30n, 40n] }];
  const { frame } = decodeFrame(record({ v: 1n, width: 640n, height: 480n, sequence: 7n, detections }));
  expect([frame.width, frame.height, frame.sequence]).toEqual([640, 480, 7n]);
  expect(frame.detections[0]).toEqual({ label: "dog", confidence: 1, box: [1, 2, 30, 40], redacted: false });
  for (const changes of [{ v: 2n }, { width: 639n }, { width: 2n ** 63n }, detection({ box: [0n, 0n, -1n, 1n] })]) {
    expect(() => decodeFrame(record(changes))).toThrow(FrameError);
  }
});

test("attributes may nest as deep as docs/frame.md says, and no deeper", () => {
  const nested = (lists: number) => recordWith([0x81, 0xa1, 0x61, ...Array<number>(lists).fill(0x91), 0xc0]);
  expect(decodeFrame(nested(98)).frame.source).toBe("cam0"); // with two maps around them, a hundred
  expect(() => decodeFrame(nested(99))).toThrow(/deeper than 100/);
});

test("maps in attributes may have any keys, and none becomes a field", () => {
  const source = [0xa6, ...new TextEncoder().encode("source")];
  for (const key of [[0xc0], [0xc3], [0xcf, 0, 0, 0, 0, 0, 0, 0, 1], [0xc4, 1, 0x61], [0x91, ...source]]) {
    expect(decodeFrame(recordWith([0x81, 0xa1, 0x61, 0x81, ...key, 1])).frame.source).toBe("cam0");
  }
  const whole = record({ source: undefined });
  const listed = [whole[0]! + 1, ...whole.subarray(1), 0x91, ...source, 0xa1, 0x61];
  expect(() => decodeFrame(new Uint8Array(listed))).toThrow(/source is no name/);
});

test("a detection that was blacked out says so", () => {
  const detections = [{ label: "person", confidence: 1, box: [0, 0, 640, 480], redacted: true }];
  expect(decodeFrame(record({ detections })).frame.detections[0]!.redacted).toBe(true);
});

/** A record whose attributes are these bytes. */
function recordWith(attributes: number[]): Uint8Array {
  const whole = record();
  return new Uint8Array([whole[0]! + 1, ...whole.subarray(1), ...encode("attributes"), ...attributes]);
}

const detection = (changes: object) => ({ detections: [{ label: "a", confidence: 0.5, box: [0, 0, 1, 1], ...changes }] });

describe("refused is", () => {
  test.each<[string, Record<string, unknown>]>([
    ["another version", { v: 2 }],
    ["a version that is text", { v: "<img src=x>" }],
    ["no source", { source: undefined }],
    ["an empty source", { source: "" }],
    ["a source of 257 bytes", { source: `${"a".repeat(255)}é` }],
    ["a source that is no text", { source: 5 }],
    ["a negative sequence", { sequence: -1 }],
    ["a sequence that is no whole number", { sequence: 1.5 }],
    ["no picture", { image: undefined }],
    ["a picture that is text", { image: "x" }],
    ["a picture that is no JPEG", { image: new TextEncoder().encode("<svg onload=alert(1)>") }],
    ["a picture of another size than stated", { width: 639 }],
    ["a width of nothing", { width: 0 }],
    ["a bomb of 65500 times 65500 pixels", { width: 65500, height: 65500, image: jpegHeader(65500, 65500) }],
    ["too many detections", { detections: Array(1001).fill({ label: "a", confidence: 0.5, box: [0, 0, 1, 1] }) }],
    ["too many hops", { trail: Array(33).fill({}) }],
    ["detections that are no list", { detections: { 0: 1 } }],
    ["a confidence above one", detection({ confidence: 1.1 })],
    ["a confidence that is no number", detection({ confidence: NaN })],
    ["a box turned inside out", detection({ box: [5, 0, 4, 1] })],
    ["a box of three edges", detection({ box: [0, 0, 1] })],
    ["a box outside the picture", detection({ box: [0, 0, 641, 1] })],
    ["a box of fractions", detection({ box: [0, 0, 1.5, 1] })],
    ["a model without a name", { trail: [{ model: {} }] }],
  ])("%s", (_, changes) => {
    expect(() => decodeFrame(record(changes))).toThrow(FrameError);
  });

  test.each<[string, number[]]>([
    ["nothing", []],
    ["no map", [0xc0]],
    ["no msgpack", [0xc1]],
    ["a map cut short", [0x82, 0xa1]],
    ["a list that claims four thousand million items", [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ["a key that would change every object", [0x81, 0xa9, ...new TextEncoder().encode("__proto__"), 0x80]],
  ])("%s", (_, bytes) => {
    expect(() => decodeFrame(new Uint8Array(bytes))).toThrow(FrameError);
  });

  test("a record that is followed by something", () => {
    expect(() => decodeFrame(new Uint8Array([...record(), 0]))).toThrow(FrameError);
  });

  test("every record that is cut short, wherever", () => {
    const whole = record();
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeFrame(whole.subarray(0, length))).toThrow(FrameError);
    }
  });
});

test("whatever byte is changed, a frame or a FrameError comes out, nothing else", () => {
  const whole = record();
  for (let at = 0; at < whole.length; at++) {
    for (const value of [0x00, 0x7f, 0x91, 0xc1, 0xdf, 0xff]) {
      const changed = whole.slice();
      changed[at] = value;
      try {
        expect(decodeFrame(changed).frame.width).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
      }
    }
  }
});
