/** Features meet only through their index; nothing below a feature knows one. */
module.exports = {
  forbidden: [
    {
      name: "features-meet-through-index",
      severity: "error",
      from: { path: "^src/features/([^/]+)/" },
      to: { path: "^src/features/([^/]+)/", pathNot: ["^src/features/$1/", "^src/features/[^/]+/index\\.ts$"] },
    },
    {
      name: "shell-enters-features-through-index",
      severity: "error",
      from: { path: "^src/(shell/|main)" },
      to: { path: "^src/features/", pathNot: "^src/features/[^/]+/index\\.ts$" },
    },
    {
      name: "foundations-know-no-feature",
      severity: "error",
      from: { path: "^src/(api|design|i18n|live)/" },
      to: { path: "^src/(features|shell)/" },
    },
    {
      name: "features-know-no-shell",
      severity: "error",
      from: { path: "^src/features/" },
      to: { path: "^src/shell/" },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["dynamic-import"] } },
    },
    {
      name: "no-unknown-module",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "\\.css$|^vite/client$|^hast$" },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { extensions: [".ts", ".tsx", ".js", ".json"], exportsFields: ["exports"], conditionNames: ["import", "types", "default"] },
  },
};
