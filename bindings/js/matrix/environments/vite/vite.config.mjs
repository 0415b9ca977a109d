import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  // What registers an agent names the URL that it was sent to.
  server: { proxy: { "/backend-api": { target: process.env.AGENTASSERT_ORIGIN, changeOrigin: false } } },
});
