import { existsSync } from "node:fs";

import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

// Types of libraries that are not installed are no types.
const withoutTypes = ["example/libraries"].filter(
  (folder) => !existsSync(new URL(`${folder}/node_modules`, import.meta.url)),
);

export default defineConfig(
  globalIgnores(["dist*", "build", "matrix/**/*.ts", "matrix/**/*.cjs", ...withoutTypes]),
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/naming-convention": "off",
    },
  },
  {
    // describe and test of node:test return promises that nobody waits for.
    files: ["**/test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", name: ["test", "describe", "it", "suite"], package: "node:test" },
          ],
        },
      ],
    },
  },
  {
    // What runs in the matrix's environments has their globals.
    files: ["matrix/programs/*", "matrix/environments/**"],
    languageOptions: {
      globals: {
        Response: "readonly",
        URL: "readonly",
        location: "readonly",
        postMessage: "readonly",
        require: "readonly",
        test: "readonly",
      },
    },
  },
  {
    files: ["**/*.mjs", "*.js"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        URL: "readonly",
        Buffer: "readonly",
        performance: "readonly",
        WebAssembly: "readonly",
        fetch: "readonly",
        setTimeout: "readonly",
        clearTimeout: "readonly",
        TextEncoder: "readonly",
      },
    },
  },
);
