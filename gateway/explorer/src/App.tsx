import { DOC_EXPLORER_PLUGIN, DocExplorerStore } from "@graphiql/plugin-doc-explorer";
import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN, HistoryStore } from "@graphiql/plugin-history";
import { GraphiQLProvider } from "@graphiql/react";
import { GraphiQL, GraphiQLInterface } from "graphiql";
import { useMemo, useState } from "react";

import type { Config } from "./config";
import { examplesPlugin } from "./examples";
import { createFetcher } from "./fetcher";
import { lastOperationPlugin, Summary } from "./LastOperation";
import { useViewer, ViewerProvider } from "./viewer";
import { ViewerBar } from "./ViewerBar";

export function App({ config }: { config: Config }) {
  return (
    <ViewerProvider people={config.people}>
      <Explorer config={config} />
    </ViewerProvider>
  );
}

function Explorer({ config }: { config: Config }) {
  const { token, setRefusal } = useViewer();
  // A new fetcher makes GraphiQL fetch the schema again, as the new viewer.
  const fetcher = useMemo(
    () => createFetcher(config, token, setRefusal),
    [config, token, setRefusal],
  );
  const [plugins] = useState(() => [
    DOC_EXPLORER_PLUGIN,
    examplesPlugin(config.examples),
    lastOperationPlugin(config),
    HISTORY_PLUGIN,
    explorerPlugin(),
  ]);
  // These are the parts of <GraphiQL>; the bar stands beside its interface, and is told its theme.
  return (
    <GraphiQLProvider fetcher={fetcher} plugins={plugins} referencePlugin={DOC_EXPLORER_PLUGIN}>
      <ViewerBar title={config.title} />
      <HistoryStore>
        <DocExplorerStore>
          <main className="editor">
            <GraphiQLInterface defaultEditorToolsVisibility showPersistHeadersSettings={false}>
              <GraphiQL.Logo> </GraphiQL.Logo>
              <GraphiQL.Footer>
                <Summary />
              </GraphiQL.Footer>
            </GraphiQLInterface>
          </main>
        </DocExplorerStore>
      </HistoryStore>
    </GraphiQLProvider>
  );
}
