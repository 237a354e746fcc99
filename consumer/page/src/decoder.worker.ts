/** Decodes records beside the page's own thread: msgpack, checks, and the picture itself. */

import { decodeFrame } from "./decode";
import type { Answer, Question } from "./decoder";
import { FrameError } from "./frame";

const LARGEST_PX = 1920;

async function answer({ id, bytes, source, digest }: Question): Promise<Answer> {
  const sha256 = digest ? hex(await crypto.subtle.digest("SHA-256", bytes)) : "";
  const { frame, image } = decodeFrame(new Uint8Array(bytes));
  if (frame.source !== source) throw new FrameError("the frame names another source than its record");
  const picture = await decodePicture(image, frame.width, frame.height);
  return { id, frame, picture, isBlack: frame.kind === "redaction" && isBlack(picture), sha256 };
}

/** Look at a coarse copy: what is black everywhere stays so, and noise of a dark room does not. */
function isBlack(picture: ImageBitmap): boolean {
  const context = new OffscreenCanvas(16, 16).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(picture, 0, 0, 16, 16);
  return context.getImageData(0, 0, 16, 16).data.every((value, at) => at % 4 === 3 || value <= 2);
}

/** Decode to at most 1920 pixels a side; boxes are scaled when they are drawn. */
async function decodePicture(image: Uint8Array<ArrayBuffer>, width: number, height: number): Promise<ImageBitmap> {
  const scale = Math.min(1, LARGEST_PX / Math.max(width, height));
  const options: ImageBitmapOptions = { imageOrientation: "none", premultiplyAlpha: "none" };
  if (scale < 1) {
    options.resizeWidth = Math.max(1, Math.round(width * scale));
    options.resizeHeight = Math.max(1, Math.round(height * scale));
    options.resizeQuality = "medium";
  }
  try {
    return await createImageBitmap(new Blob([image], { type: "image/jpeg" }), options);
  } catch {
    throw new FrameError("the picture cannot be decoded");
  }
}

function hex(digest: ArrayBuffer): string {
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

self.addEventListener("message", (event: MessageEvent<Question>) => {
  answer(event.data).then(
    (done) => self.postMessage(done, { transfer: "picture" in done ? [done.picture] : [] }),
    (error: unknown) => {
      const problem = error instanceof Error ? error.message : String(error);
      self.postMessage({ id: event.data.id, problem } satisfies Answer);
    },
  );
});
