import { defineConfig } from "vite";

export default defineConfig({
  base: "/explorer/",
  build: {
    // Monaco is one large library; splitting it further would not load any less.
    chunkSizeWarningLimit: 5000,
    // Keep small images as files, so that a stricter policy may forbid data: URLs.
    assetsInlineLimit: 0,
    // Libraries mark their modules "use client", which means nothing here.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
