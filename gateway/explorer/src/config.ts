/** A person one can view the graph as; only demo servers name any. */
export interface Person {
  name: string;
  email: string;
  role: string;
  about: string;
  token: string;
}

/** A ready-made operation. */
export interface Example {
  name: string;
  description: string;
  query: string;
  variables: Record<string, unknown> | null;
  /** E-mail address of the person it is best run as. */
  as: string | null;
  /** The heading it stands under. */
  group: string;
  /** The root fields it asks for. */
  fields: string[];
}

/** What the server tells the explorer about itself. */
export interface Config {
  title: string;
  endpoint: string;
  /** Whether the server tells the plan of an operation to those who ask for it. */
  development: boolean;
  /** The points that one operation may cost. */
  maxCost: number;
  examples: Example[];
  people: Person[];
}

export async function loadConfig(): Promise<Config> {
  const url = `${import.meta.env.BASE_URL}config.json`;
  const response = await fetch(url, { headers: { accept: "application/json" } });
  if (!response.ok) {
    throw new Error(`GET ${url} was answered with status ${response.status}.`);
  }
  return (await response.json()) as Config;
}
