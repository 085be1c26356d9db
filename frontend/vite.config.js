import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const backend = process.env["LOOMWORKS_BACKEND"] ?? "http://127.0.0.1:8000";
// Django checks Origin and Host, so the development server must pass as the backend itself.
const proxied = { target: backend, changeOrigin: true, ws: true, headers: { origin: backend } };

export default defineConfig(({ command }) => ({
  base: command === "build" ? "/static/" : "/",
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    manifest: "manifest.json",
    target: "es2022",
    modulePreload: { polyfill: false },
    // An inlined font or image would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    rolldownOptions: { input: "src/main.tsx" },
  },
  server: { proxy: { "/api": proxied, "/v1": proxied, "/ws": proxied, "/accounts": proxied } },
  test: { environment: "node", include: ["src/**/*.test.ts"], isolate: false },
}));
