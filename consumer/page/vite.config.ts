import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the page's security policy allows no data: addresses
    modulePreload: { polyfill: false }, // it would be an inline script
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  test: { include: ["tests/**/*.test.ts"] },
});
