import { expect, test } from "vitest";
import { Past, pastText } from "../src/past";

test("a camera of which nothing came for a minute belongs to the past", () => {
  const past = new Past();
  expect(past.holds(0, 60_000)).toBe(false);
  expect(past.holds(0, 60_001)).toBe(true);
});

test("no camera becomes past while nothing can be heard, and each has a new minute after that", () => {
  const past = new Past();
  past.note(false, 10_000);
  expect(past.holds(0, 90_000)).toBe(null);
  past.note(true, 100_000);
  expect(past.holds(0, 150_000)).toBe(false);
  expect(past.holds(0, 160_001)).toBe(true);
});

test("one camera is no cameras", () => {
  expect(pastText(1)).toBe("Not live: 1 camera");
  expect(pastText(2)).toBe("Not live: 2 cameras");
});
