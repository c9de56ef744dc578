import webpack from "webpack";

webpack({ mode: "production", context: import.meta.dirname, entry: "./main.js" }, (error, stats) => {
  if (error) throw error;
  if (stats.hasErrors()) throw new Error(stats.toString("errors-only"));
});
