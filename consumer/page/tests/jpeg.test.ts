import { expect, test } from "vitest";
import { jpegSize } from "../src/jpeg";
import { jpegHeader } from "./records";

test("the size is read from the header", () => {
  expect(jpegSize(jpegHeader(1280, 720))).toEqual({ width: 1280, height: 720 });
});

test("40 megapixels go through, more do not", () => {
  expect(jpegSize(jpegHeader(8000, 5000)).width).toBe(8000);
  expect(() => jpegSize(jpegHeader(8001, 5000))).toThrow(/8001×5000/);
});

test.each([[[]], [[0xff, 0xd8]], [[0x89, 0x50, 0x4e, 0x47]], [[0xff, 0xd8, 0x00, 0x01, 0x02]]])(
  "what is no JPEG with a header is refused: %j",
  (bytes) => {
    expect(() => jpegSize(new Uint8Array(bytes))).toThrow();
  },
);

test("a segment of no length does not hold the page up", () => {
  expect(() => jpegSize(new Uint8Array([0xff, 0xd8, ...Array(1000).fill([0xff, 0xe0, 0, 0]).flat()]))).toThrow();
});
