import type { Tile } from "./tile";

/** One camera on the page: its name, and its stages in the order of their way. */
export class Camera {
  readonly element: HTMLElement;
  private readonly stages: HTMLElement;
  private tiles: readonly Tile[] = [];

  constructor(readonly source: string) {
    const template = document.querySelector<HTMLTemplateElement>("#camera")!;
    this.element = (template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>(".camera")!;
    this.stages = this.element.querySelector<HTMLElement>(".stages")!;
    const name = this.element.querySelector<HTMLElement>(".name")!;
    name.textContent = name.title = source;
    this.stages.setAttribute("aria-label", `Stages of ${source}`);
  }

  get size(): number {
    return this.tiles.length;
  }

  /** performance.now() when any stage of it was last heard of. */
  get heard(): number {
    return Math.max(...this.tiles.map((tile) => tile.heard));
  }

  /** Show exactly these tiles, in this order. */
  show(tiles: readonly Tile[]): void {
    this.tiles = tiles;
    showChildren(this.stages, tiles.map((tile) => tile.element));
  }

  /** Take that many of the page's columns; what does not fit wraps inside. */
  layOut(span: number): void {
    this.element.style.setProperty("--span", String(span));
  }
}

/** Make these the children, without touching them where they are already. */
export function showChildren(parent: HTMLElement, wanted: readonly HTMLElement[]): void {
  const before = parent.children;
  if (wanted.length === before.length && wanted.every((element, at) => element === before[at])) return;
  parent.replaceChildren(...wanted);
}
