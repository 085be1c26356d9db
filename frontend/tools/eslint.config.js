import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["src/api/schema.gen.ts"] },
  {
    files: ["src/**/*.{ts,tsx}"],
    extends: [...tseslint.configs.strict, reactHooks.configs.flat["recommended-latest"]],
    rules: {
      complexity: ["error", 12],
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", { max: 120, skipBlankLines: true }],
      "max-params": ["error", 5],
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "Model output is hostile: build elements instead." },
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: "Model output is hostile: build elements instead.",
        },
      ],
    },
  },
);
