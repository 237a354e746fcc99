import { expect, test } from "vitest";
import { colour, label } from "../src/boxes";

const found = { label: "person", confidence: 0.874, box: [0, 0, 1, 1], redacted: false } as const;

test("a label carries its confidence", () => {
  expect(label(found)).toBe("person 87%");
});

test("what was blacked out says so, and has a colour of its own", () => {
  expect(label({ ...found, redacted: true })).toBe("person 87% · redacted");
  expect(colour({ ...found, redacted: true })).not.toBe(colour(found));
});

test("a label cannot turn the direction of the number behind it, nor cover the picture", () => {
  expect(label({ ...found, label: "\u202eabc\u2067" })).toBe("abc 87%");
  expect(label({ ...found, label: "x".repeat(256) })).toBe(`${"x".repeat(28)}… 87%`);
});
