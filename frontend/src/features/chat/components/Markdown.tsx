/** A model's words as Markdown. They are hostile: no HTML, no scripts in links, nothing loaded from elsewhere. */
import type { Element, ElementContent } from "hast";
import { memo } from "react";
import { useTranslation } from "react-i18next";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeHighlight from "rehype-highlight";
import remarkGfm from "remark-gfm";
import { CodeBlock } from "@/design/CodeBlock";
import { splitBlocks } from "../blocks";
import { outsideAddress } from "../links";

function textOf(node: ElementContent): string {
  if (node.type === "text") return node.value;
  return node.type === "element" ? node.children.map(textOf).join("") : "";
}

function languageOf(pre: Element | undefined): string {
  const code = pre?.children[0];
  const classes = code?.type === "element" ? code.properties["className"] : [];
  const named = Array.isArray(classes) ? classes.map(String).find((name) => name.startsWith("language-")) : undefined;
  return named?.slice("language-".length) ?? "";
}

function OutsideLink({ href, children }: { href: string | undefined; children: React.ReactNode }) {
  const address = outsideAddress(href);
  return address ? <a href={address} target="_blank" rel="noopener noreferrer nofollow">{children}</a> : <>{children}</>;
}

/** A picture would tell its host who reads what: it is named and linked, never fetched. */
function PictureLink({ src, alt }: { src: string | undefined; alt: string | undefined }) {
  const { t } = useTranslation("chat");
  return <OutsideLink href={src}>{t("picture", { alt: alt || src || "" })}</OutsideLink>;
}

const components: Components = {
  a: ({ href, children }) => <OutsideLink href={href}>{children}</OutsideLink>,
  img: ({ src, alt }) => <PictureLink src={typeof src === "string" ? src : undefined} alt={alt} />,
  pre: ({ node, children }) => <CodeBlock code={node ? textOf(node).replace(/\n$/, "") : ""} label={languageOf(node)}>{children}</CodeBlock>,
  table: ({ children }) => <div className="table-frame" tabIndex={0}><table className="table">{children}</table></div>,
  // The page has its own first and second headings.
  h1: ({ children }) => <h3>{children}</h3>,
  h2: ({ children }) => <h4>{children}</h4>,
  h3: ({ children }) => <h5>{children}</h5>,
};
const remarkPlugins = [remarkGfm];
const rehypePlugins = [rehypeHighlight];

const Block = memo(function Block({ text }: { text: string }) {
  return <ReactMarkdown components={components} remarkPlugins={remarkPlugins} rehypePlugins={rehypePlugins}>{text}</ReactMarkdown>;
});

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return <div className="markdown">{splitBlocks(text).map((block, index) => <Block key={index} text={block} />)}</div>;
});
