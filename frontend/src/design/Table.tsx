/** A table with a sticky head; the first cell of a row carries the link or button that opens it. */
import type { ReactNode } from "react";
import { Link } from "react-router";

export interface Column<Row> {
  header: string;
  cell: (row: Row) => ReactNode;
  number?: boolean;
  /** Shown only where there is room. */
  wide?: boolean;
}

interface TableProps<Row> {
  label: string;
  rows: Row[];
  rowKey: (row: Row) => string;
  columns: Column<Row>[];
  current?: string | null;
  onOpen?: (row: Row) => void;
}

function classes(column: { number?: boolean; wide?: boolean }, first: boolean): string {
  return [column.number && "number", column.wide && "wide-only", first && "cell-main"].filter(Boolean).join(" ");
}

export function Table<Row>({ label, rows, rowKey, columns, current, onOpen }: TableProps<Row>) {
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={label}>
      <table className={onOpen ? "table table-open" : "table"}>
        <thead>
          <tr>{columns.map((column) => <th key={column.header} scope="col" className={classes(column, false)}>{column.header}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} aria-current={current === rowKey(row) || undefined}
              onClick={(event) => {
                // The row is a larger target for the pointer; keyboards use the control in the first cell.
                const inner = (event.target as HTMLElement).closest("a, button");
                if (!inner) onOpen?.(row);
              }}>
              {columns.map((column, index) => (
                <td key={column.header} className={classes(column, index === 0)}>{column.cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function RowButton({ children, onPress }: { children: ReactNode; onPress: () => void }) {
  return <button type="button" className="row-open" onClick={onPress}>{children}</button>;
}

export function RowLink({ children, to }: { children: ReactNode; to: string }) {
  return <Link className="row-open" to={to}>{children}</Link>;
}
