import { explorerPlugin } from "@graphiql/plugin-explorer";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { useMemo, useState } from "react";

import type { Config } from "./config";
import { examplesPlugin } from "./examples";
import { createFetcher } from "./fetcher";
import { useViewer, ViewerProvider } from "./viewer";
import { ViewerBar } from "./ViewerBar";

export function App({ config }: { config: Config }) {
  return (
    <ViewerProvider people={config.people}>
      <ViewerBar title={config.title} />
      <Editor config={config} />
    </ViewerProvider>
  );
}

function Editor({ config }: { config: Config }) {
  const { token } = useViewer();
  // A new fetcher makes GraphiQL fetch the schema again, as the new viewer.
  const fetcher = useMemo(() => createFetcher(config.endpoint, token), [config, token]);
  const [plugins] = useState(() => [
    examplesPlugin(config.examples),
    HISTORY_PLUGIN,
    explorerPlugin(),
  ]);
  return (
    <main className="editor">
      <GraphiQL fetcher={fetcher} plugins={plugins} defaultEditorToolsVisibility />
    </main>
  );
}
