import type { ExecutionResult } from "graphql";
import { useSyncExternalStore } from "react";

/** Points that an operation may cost at most, those that it did cost, and those left to spend. */
export interface Cost {
  requested: number;
  actual?: number;
  remaining?: number;
}

/** A statement that the database was sent. */
export interface Statement {
  sql: string;
  milliseconds: number;
  rows: number;
}

/** What there is to know of an operation beside its answer. */
export interface Report {
  title: string;
  status: string;
  failed: boolean;
  milliseconds?: number;
  bytes?: number;
  /** How many events a subscription has brought. */
  events?: number;
  cost?: Cost | undefined;
  statements?: Statement[] | undefined;
  /** Why it failed, where no answer is shown that says so. */
  problems?: string[];
}

let last: Report | null = null;
const listeners = new Set<() => void>();

export function publish(report: Report) {
  change(report);
}

/** Forgets the last report, if it is of this. */
export function withdraw(title: string) {
  if (last?.title === title) change(null);
}

function change(report: Report | null) {
  last = report;
  for (const listener of listeners) listener();
}

/** The report of the last operation; null before the first. */
export function useLastReport(): Report | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => last,
  );
}

/** A result without what is reported elsewhere, and that. */
export function separate({ extensions, ...result }: ExecutionResult) {
  const { cost, plan, ...others } = (extensions ?? {}) as {
    cost?: Cost;
    plan?: { statements: Statement[] };
  };
  const shown: ExecutionResult = Object.keys(others).length
    ? { ...result, extensions: others }
    : result;
  return { shown, cost, statements: plan?.statements };
}
