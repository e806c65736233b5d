import { useGraphiQL, useGraphiQLActions, type GraphiQLPlugin } from "@graphiql/react";
import type { SVGProps } from "react";

import type { Example } from "./config";
import { useViewer } from "./viewer";

/** A sidebar panel that lists the examples and opens them in tabs of their own. */
export function examplesPlugin(examples: Example[]): GraphiQLPlugin {
  return {
    title: "Examples",
    icon: ExamplesIcon,
    content: () => <ExampleList examples={examples} />,
  };
}

/** The text of an example's variables, as the variables editor shows it. */
export function variablesText({ variables }: Example): string {
  return variables ? JSON.stringify(variables, null, 2) : "";
}

function ExampleList({ examples }: { examples: Example[] }) {
  const { people, choosePerson } = useViewer();
  const openInNewTab = useOpenInNewTab();
  return (
    <section className="examples" aria-labelledby="examples-title">
      <h2 id="examples-title">Examples</h2>
      <ol>
        {examples.map((example, index) => {
          const person = people.find(({ email }) => email === example.as);
          const open = () => {
            openInNewTab(example);
            if (person) choosePerson(person.email);
          };
          return (
            <li key={example.name}>
              <button type="button" data-testid={`example-${index}`} onClick={open}>
                <span className="example-name">{example.name}</span>
                <span className="example-description">{example.description}</span>
                {person && <span className="example-person">as {person.name}</span>}
              </button>
            </li>
          );
        })}
      </ol>
    </section>
  );
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
      data-testid="examples-button"
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
