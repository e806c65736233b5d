import { useGraphiQL, useGraphiQLActions, type GraphiQLPlugin } from "@graphiql/react";
import { useState, type SVGProps } from "react";

import type { Example } from "./config";
import { useViewer } from "./viewer";

/** A sidebar panel that lists the examples and opens them in tabs of their own. */
export function examplesPlugin(examples: Example[]): GraphiQLPlugin {
  return {
    title: "Examples",
    icon: ExamplesIcon,
    content: () => <Examples examples={examples} />,
  };
}

/** The text of an example's variables, as the variables editor shows it. */
export function variablesText({ variables }: Example): string {
  return variables ? JSON.stringify(variables, null, 2) : "";
}

function Examples({ examples }: { examples: Example[] }) {
  const [words, setWords] = useState("");
  const { people, choosePerson } = useViewer();
  const openInNewTab = useOpenInNewTab();

  const open = (example: Example) => {
    openInNewTab(example);
    if (people.some(({ email }) => email === example.as)) choosePerson(example.as!);
  };
  const groups = [...Map.groupBy(examples, ({ group }) => group)];
  const found = words.trim() ? search(examples, words) : null;
  return (
    <section className="panel examples" aria-labelledby="examples-title">
      <h2 id="examples-title">Examples</h2>
      <input
        type="search"
        aria-label="Search examples"
        placeholder="Search fields and words"
        value={words}
        onChange={(event) => setWords(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && found?.[0]) open(found[0]);
        }}
      />
      {found ? (
        <>
          <p className="muted" role="status">
            {found.length === 0 ? "No example has that." : `${found.length} found`}
          </p>
          <ExampleList examples={found} open={open} />
        </>
      ) : (
        <>
          <nav className="groups" aria-label="Examples by type">
            {groups.map(([group, members]) => (
              <a key={group} href={`#examples-${group}`}>
                {group} <small>{members.length}</small>
              </a>
            ))}
          </nav>
          {groups.map(([group, members]) => (
            <section key={group} aria-labelledby={`examples-${group}`}>
              <h3 id={`examples-${group}`}>{group}</h3>
              <ExampleList examples={members} open={open} />
            </section>
          ))}
        </>
      )}
    </section>
  );
}

interface ExampleListProps {
  examples: Example[];
  open(example: Example): void;
}

function ExampleList({ examples, open }: ExampleListProps) {
  const { people } = useViewer();
  return (
    <ol>
      {examples.map((example) => {
        const person = people.find(({ email }) => email === example.as);
        const isField = example.fields.includes(example.name);
        return (
          <li key={`${example.group} ${example.name}`}>
            <button type="button" onClick={() => open(example)}>
              <span className={isField ? "example-name field-name" : "example-name"}>
                {example.name}
              </span>
              <span className="muted">{example.description}</span>
              {person && <span className="example-person">as {person.name}</span>}
            </button>
          </li>
        );
      })}
    </ol>
  );
}

/** The examples with these words, those first whose name they are. */
function search(examples: Example[], words: string): Example[] {
  const wanted = words.trim().toLowerCase();
  const places: ((example: Example) => string)[] = [
    ({ name }) => name,
    ({ fields }) => fields.join(" "),
    ({ group, description }) => `${group} ${description}`,
    ({ query }) => query,
  ];
  const rank = (example: Example) => {
    if (example.name.toLowerCase() === wanted) return -1;
    const place = places.findIndex((text) => text(example).toLowerCase().includes(wanted));
    return place === -1 ? places.length : place;
  };
  return examples
    .map((example) => ({ example, rank: rank(example) }))
    .filter(({ rank }) => rank < places.length)
    .sort((one, other) => one.rank - other.rank)
    .map(({ example }) => example);
}

function useOpenInNewTab() {
  const { addTab, changeTab, setOperationFacts, updateActiveTabValues } = useGraphiQLActions();
  const tabCount = useGraphiQL((state) => state.tabs.length);

  return (example: Example) => {
    addTab();
    updateActiveTabValues({ query: example.query, variables: variablesText(example) });
    // Selecting the new tab anew is what carries its values into the editors.
    changeTab(tabCount);
    // GraphiQL reads the operation's name from the editor a moment later; until
    // then it would run this operation under the previous tab's name.
    setOperationFacts({});
  };
}

function ExamplesIcon(props: SVGProps<SVGSVGElement>) {
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
      <path d="M4 5.5A2.5 2.5 0 0 1 6.5 3H20v15H6.5A2.5 2.5 0 0 0 4 20.5z" />
      <path d="M20 18v3H6.5A2.5 2.5 0 0 1 4 18.5" />
      <path d="m10.5 7.5 4.5 3-4.5 3z" />
    </svg>
  );
}
