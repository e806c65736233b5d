import { useGraphiQL, type GraphiQLPlugin } from "@graphiql/react";
import type { ReactNode, SVGProps } from "react";

import type { Config } from "./config";
import { COST_HEADER } from "./fetcher";
import { useLastReport, type Cost, type Report, type Statement } from "./report";

const TITLE = "Last operation";

/** A sidebar panel with the cost of the last operation, and in development its plan. */
export function lastOperationPlugin(config: Config): GraphiQLPlugin {
  return {
    title: TITLE,
    icon: LastOperationIcon,
    content: () => <LastOperation config={config} />,
  };
}

/** The last operation in a line, which leads to the panel. */
export function Summary() {
  const report = useLastReport();
  if (!report) return null;
  const { status, failed, milliseconds, events, cost, statements } = report;
  const parts = [
    events !== undefined && counted(events, "event"),
    milliseconds !== undefined && duration(milliseconds),
    cost && `cost ${number(cost.actual ?? cost.requested)}`,
    statements && counted(statements.length, "statement"),
  ].filter(Boolean);
  return (
    <button type="button" className="summary" onClick={showPanel} title={`Show ${TITLE}`}>
      <Status failed={failed}>{status}</Status>
      {parts.map((part) => (
        <span key={part as string}>{part}</span>
      ))}
    </button>
  );
}

/** GraphiQL unfolds its sidebar panel for its own buttons only. */
function showPanel() {
  document
    .querySelector<HTMLElement>(`.graphiql-sidebar [aria-label="Show ${TITLE}"]`)
    ?.click();
}

function LastOperation({ config }: { config: Config }) {
  const report = useLastReport();
  return (
    <section className="panel" aria-labelledby="last-operation-title">
      <h2 id="last-operation-title">{TITLE}</h2>
      <PriceButton />
      {report ? (
        <Details report={report} config={config} />
      ) : (
        <p className="muted">Run an operation to see what it took.</p>
      )}
    </section>
  );
}

/** Prices what is in the editor. The response stays as it is; the report says what came of it. */
function PriceButton() {
  const { fetcher, queryEditor, variableEditor, headerEditor, operationName } = useGraphiQL(
    ({ fetcher, queryEditor, variableEditor, headerEditor, operationName }) => ({
      fetcher,
      queryEditor,
      variableEditor,
      headerEditor,
      operationName,
    }),
  );
  const price = () =>
    fetcher(
      {
        query: queryEditor?.getValue() ?? "",
        variables: json(variableEditor?.getValue()),
        operationName: operationName ?? null,
      },
      { headers: { ...json(headerEditor?.getValue()), [COST_HEADER]: "validate" } },
    );
  return (
    <p className="price">
      <button type="button" onClick={price}>
        Price only
      </button>
      <span className="muted">What the operation in the editor may cost, without running it.</span>
    </p>
  );
}

function Details({ report, config }: { report: Report; config: Config }) {
  const { title, status, failed, milliseconds, bytes, events, cost, statements, problems } = report;
  return (
    <>
      <p className="operation">
        <code>{title}</code>
        <Status failed={failed}>{status}</Status>
      </p>
      {problems?.map((problem) => (
        <p key={problem} className="problem" role="alert">
          {problem}
        </p>
      ))}
      <dl className="figures">
        {events !== undefined && <Figure name="Events">{number(events)}</Figure>}
        {milliseconds !== undefined && <Figure name="Time">{duration(milliseconds)}</Figure>}
        {bytes !== undefined && bytes > 0 && <Figure name="Answer">{size(bytes)}</Figure>}
      </dl>
      {cost && <CostDetails cost={cost} most={config.maxCost} />}
      {statements ? (
        <Plan statements={statements} />
      ) : (
        !config.development && (
          <p className="muted">
            A server in development (<code>DEVELOPMENT=true</code>) shows the statements here, too.
          </p>
        )
      )}
    </>
  );
}

function CostDetails({ cost, most }: { cost: Cost; most: number }) {
  return (
    <section aria-labelledby="cost-title">
      <h3 id="cost-title">Cost</h3>
      <dl className="figures" data-testid="cost">
        <Figure name="Requested">{number(cost.requested)}</Figure>
        {cost.actual !== undefined && <Figure name="Actual">{number(cost.actual)}</Figure>}
        {cost.remaining !== undefined && <Figure name="Remaining">{number(cost.remaining)}</Figure>}
      </dl>
      <meter
        aria-label="Cost requested, of what is allowed"
        max={most}
        high={most * 0.8}
        value={cost.requested}
      />
      <p className="muted">
        In points. One operation may ask for {number(most)}; what it does not use is given back.
      </p>
    </section>
  );
}

function Plan({ statements }: { statements: Statement[] }) {
  const total = statements.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return (
    <section aria-labelledby="plan-title">
      <h3 id="plan-title">
        Plan <small>{counted(statements.length, "statement")}, {duration(total)}</small>
      </h3>
      <ol className="plan" data-testid="plan">
        {statements.map(({ sql, milliseconds, rows }, index) => (
          <li key={index}>
            <details>
              <summary>
                <code>{gist(sql)}</code>
                <span>{duration(milliseconds)}</span>
                <span>{counted(rows, "row")}</span>
              </summary>
              <pre tabIndex={0}>{sql}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** A statement in a few words: its verb and the tables that it reads or writes. */
function gist(sql: string): string {
  const tables = sql.matchAll(/\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z]\w*)(?![\w(])/g);
  const names = new Set([...tables].map(([, name]) => name!).filter((name) => !/^anon_/.test(name)));
  return [sql.trim().split(/\s/, 1)[0], [...names].join(", ")].join(" ");
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Status({ failed, children }: { failed: boolean; children: ReactNode }) {
  return <span className={failed ? "status failed" : "status"}>{children}</span>;
}

/** The object that an editor holds; none while it is being typed. */
function json(text = ""): Record<string, unknown> {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return {};
  }
}

function number(value: number) {
  return value.toLocaleString("en");
}

function counted(count: number, noun: string) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function duration(milliseconds: number) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

function size(bytes: number) {
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`;
}

function LastOperationIcon(props: SVGProps<SVGSVGElement>) {
  return (
    <svg
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      {...props}
    >
      <path d="M4 18a9 9 0 1 1 16 0" />
      <path d="m12 14 4-5" />
      <circle cx="12" cy="14" r="1.5" />
    </svg>
  );
}
