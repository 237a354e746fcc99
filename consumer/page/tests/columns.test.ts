import { expect, test } from "vitest";
import { columnsFor, spanFor } from "../src/columns";

test("a phone shows one beside the other, never two", () => {
  expect(columnsFor(336, 6, 3)).toBe(1);
});

test("the three stages of a camera stand in one row", () => {
  expect(columnsFor(1240, 6, 3)).toBe(3);
  expect(columnsFor(1560, 6, 3)).toBe(3);
  expect(columnsFor(2300, 12, 3)).toBe(6);
});

test("cameras without stages take as many columns as fit", () => {
  expect(columnsFor(1560, 16, 1)).toBe(4);
  expect(columnsFor(1560, 1, 1)).toBe(1);
});

test("more stages than fit take what there is", () => {
  expect(columnsFor(700, 8, 4)).toBe(2);
});

test("a camera of two stages leaves the rest of its row empty beside one of three; single ones stand side by side", () => {
  expect([3, 2, 1].map((stages) => spanFor(stages, 3, 3))).toEqual([3, 3, 1]);
  expect([4, 2, 1].map((stages) => spanFor(stages, 4, 2))).toEqual([2, 2, 1]);
  expect(spanFor(3, 3, 1)).toBe(1);
});
