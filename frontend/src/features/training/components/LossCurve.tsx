/** The loss curve: live, with axes, read-out, zoom, smoothing, and the same figures as a table. */
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import uPlot from "uplot";
import type { MetricPoint } from "@/api/types";
import { Table } from "@/design/Table";
import { Tabs } from "@/design/Tabs";
import { formatFigure, formatNumber } from "@/i18n/formats";
import { smooth } from "../points";
import "uplot/dist/uPlot.min.css";

const HEIGHT = 300;
const DEFAULT_SMOOTHING = 0.6;

function colour(name: string): string {
  // The canvas knows no `light-dark()`: let the browser resolve the token.
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

function useThemeVersion(): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const bump = () => { setVersion((current) => current + 1); };
    const watcher = new MutationObserver(bump);
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", bump);
    return () => {
      watcher.disconnect();
      system.removeEventListener("change", bump);
    };
  }, []);
  return version;
}

interface Watcher {
  hover: (index: number | null) => void;
  zoom: (zoomed: boolean) => void;
}

function plotOptions(width: number, words: { step: string; loss: string }, tell: Watcher): uPlot.Options {
  const axis = {
    stroke: colour("--ink-2"),
    grid: { stroke: colour("--hairline"), width: 1 },
    ticks: { stroke: colour("--hairline"), width: 1 },
    font: "12px 'Inter Variable', sans-serif",
    labelFont: "12px 'Inter Variable', sans-serif",
    labelSize: 20,
  };
  const train = colour("--thread-0");
  const points = { show: false };
  return {
    width,
    height: HEIGHT,
    scales: { x: { time: false } },
    axes: [
      { ...axis, label: words.step, size: 32, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000] },
      { ...axis, label: words.loss, size: 48 },
    ],
    series: [
      {},
      { stroke: train, width: 1, alpha: 0.35, points },
      { stroke: train, width: 2, points },
      { stroke: colour("--thread-1"), width: 2, spanGaps: true, dash: [6, 3], points: { show: true, size: 6, fill: colour("--thread-1") } },
    ],
    cursor: { y: false, drag: { x: true, y: false } },
    hooks: {
      ready: [(plot) => { plot.over.addEventListener("dblclick", () => { tell.zoom(false); }); }],
      setSelect: [(plot) => { if (plot.select.width > 0) tell.zoom(true); }],
      setCursor: [(plot) => { tell.hover(plot.cursor.idx ?? null); }],
    },
  };
}

function usePlot(columns: uPlot.AlignedData, onHover: (index: number | null) => void) {
  const { t } = useTranslation("training");
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(columns);
  const zoomed = useRef(false);
  const theme = useThemeVersion();
  const step = t("step");
  const loss = t("lossAxis");
  useEffect(() => {
    const box = holder.current;
    if (!box) return;
    const tell: Watcher = { hover: onHover, zoom: (now) => { zoomed.current = now; } };
    tell.zoom(false);
    plot.current = new uPlot(plotOptions(box.clientWidth, { step, loss }, tell), newest.current, box);
    const resizing = new ResizeObserver(() => { plot.current?.setSize({ width: box.clientWidth, height: HEIGHT }); });
    resizing.observe(box);
    return () => {
      resizing.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [theme, step, loss, onHover]);
  useEffect(() => {
    newest.current = columns;
    // A zoom survives new points; without one the axes follow the curve.
    plot.current?.setData(columns, !zoomed.current);
  }, [columns]);
  return holder;
}

export function LossCurve({ points }: { points: MetricPoint[] }) {
  const { t } = useTranslation("training");
  const views = [
    { id: "curve", name: t("curve"), content: <Curve points={points} /> },
    { id: "table", name: t("table"), content: <PointTable points={points} /> },
  ];
  return <Tabs label={t("loss")} views={views} />;
}

function Curve({ points }: { points: MetricPoint[] }) {
  const { t } = useTranslation("training");
  const [smoothing, setSmoothing] = useState(DEFAULT_SMOOTHING);
  const [hovered, setHovered] = useState<number | null>(null);
  const columns = useMemo((): uPlot.AlignedData => {
    const train = points.map((point) => point.train_loss);
    return [points.map((point) => point.step), train, smooth(train, smoothing), points.map((point) => point.valid_loss)];
  }, [points, smoothing]);
  const holder = usePlot(columns, setHovered);
  const shown = points[hovered ?? points.length - 1];
  const lastValid = hovered === null ? points.findLast((point) => point.valid_loss !== null)?.valid_loss : shown?.valid_loss;
  return (
    <div className="stack">
      <div className="row row-between">
        <div className="curve-key">
          {shown && <>{t("step")} <b>{formatNumber(shown.step)}</b></>}
          <span className="key-train">{t("train")} <b>{shown?.train_loss == null ? "–" : formatFigure(shown.train_loss)}</b></span>
          <span className="key-valid">{t("valid")} <b>{lastValid == null ? "–" : formatFigure(lastValid)}</b></span>
        </div>
        <label className="curve-tools small quiet">
          {t("smoothing")}
          <input type="range" min={0} max={0.95} step={0.05} value={smoothing} onChange={(event) => { setSmoothing(Number(event.target.value)); }} />
        </label>
      </div>
      <div ref={holder} className="curve" role="img" aria-label={t("curveLabel")} />
      <p className="quiet small wide-only">{t("zoomHint")}</p>
    </div>
  );
}

function PointTable({ points }: { points: MetricPoint[] }) {
  const { t } = useTranslation("training");
  const figure = (value: number | null) => (value === null ? "–" : formatFigure(value));
  return (
    <Table label={t("loss")} rows={[...points].reverse()} rowKey={(point) => String(point.step)}
      columns={[
        { header: t("step"), cell: (point) => formatNumber(point.step) },
        { header: t("train"), cell: (point) => figure(point.train_loss), number: true },
        { header: t("valid"), cell: (point) => figure(point.valid_loss), number: true },
        { header: t("accuracy"), cell: (point) => figure(point.train_mean_token_accuracy), number: true },
        { header: t("learningRate"), cell: (point) => figure(point.learning_rate), number: true, wide: true },
        { header: t("gradNorm"), cell: (point) => figure(point.grad_norm), number: true, wide: true },
        { header: t("pace"), cell: (point) => figure(point.tokens_per_second), number: true, wide: true },
      ]} />
  );
}
