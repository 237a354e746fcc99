import { expect, test } from "vitest";
import { fontSize, place, type Rectangle } from "../src/labels";

const room = { width: 400, height: 300 };
const label = { width: 80, height: 17 };
const box = { left: 100, top: 100, right: 200, bottom: 220 };

function covers(a: Rectangle, b: Rectangle): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

test("a label stands on its box, and inside where there is no room above", () => {
  expect(place(box, label, room, [])).toEqual({ left: 100, top: 83, right: 180, bottom: 100 });
  expect(place({ ...box, top: 5 }, label, room, []).top).toBe(5);
});

test("the labels of boxes that lie on each other lie beside each other", () => {
  const taken: Rectangle[] = [];
  for (let count = 0; count < 6; count++) taken.push(place(box, label, room, taken));
  for (const [at, one] of taken.entries()) {
    for (const other of taken.slice(at + 1)) expect(covers(one, other)).toBe(false);
  }
});

test("no label leaves the picture, wherever its box lies", () => {
  for (const [left, top] of [[0, 0], [390, 0], [0, 290], [390, 290]] as const) {
    const found = place({ left, top, right: left + 10, bottom: top + 10 }, label, room, []);
    expect(found.left).toBeGreaterThanOrEqual(0);
    expect(found.right).toBeLessThanOrEqual(room.width);
    expect(found.top).toBeGreaterThanOrEqual(0);
    expect(found.bottom).toBeLessThanOrEqual(room.height);
  }
});

test("where every place is taken there still is one", () => {
  const all = [{ left: 0, top: 0, right: 400, bottom: 300 }];
  expect(place(box, label, room, all)).toMatchObject({ left: 100 });
});

test("a label does not hide a small object where it can stand beside it", () => {
  const small = { left: 100, top: 3, right: 120, bottom: 23 };
  expect(place(small, label, room, [], [small]).top).toBe(23);
});

test("small boxes have small letters", () => {
  expect(fontSize(box)).toBe(12);
  expect(fontSize({ ...box, bottom: 120 })).toBe(10);
});
