export default {
  title: "Bun",
  ways: [
    { how: "`import`", run: (box) => box.run(box.bin("bun"), ["main.mjs"]) },
    { how: "`require`", run: (box) => box.run(box.bin("bun"), ["main.cjs"]) },
    { how: "TypeScript", run: (box) => box.run(box.bin("bun"), ["main.ts"]) },
  ],
};
