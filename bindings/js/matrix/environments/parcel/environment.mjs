import { runPageOf } from "../../chromium.mjs";

export default {
  title: "Parcel",
  ways: [
    {
      how: "`packageExports` in package.json",
      run: async (box) => {
        await box.exec(box.bin("parcel"), ["build", "index.html", "--public-url", "./", "--no-cache"]);
        const version = (await box.exec(box.bin("parcel"), ["--version"])).trim();
        return { ...(await runPageOf(box, "dist/index.html")), version };
      },
    },
  ],
};
