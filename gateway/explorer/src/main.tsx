// GraphiQL's stylesheets one by one: the one for all of them brings its fonts as data: URLs,
// which a strict policy forbids.
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "@graphiql/plugin-explorer/style.css";
import "@fontsource-variable/inter/index.css";
import "@fontsource/fira-code/400.css";
import "graphiql/setup-workers/vite";
import "./styles.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import { loadConfig } from "./config";
import { LoadError } from "./LoadError";
import { welcomeNewcomer } from "./welcome";

const root = createRoot(document.getElementById("root")!);

// The editors measure their font once, when they are made: it has to be there by then.
Promise.all([loadConfig(), document.fonts.load('15px "Fira Code"')]).then(
  ([config]) => {
    document.title = config.title;
    welcomeNewcomer(config);
    root.render(
      <StrictMode>
        <App config={config} />
      </StrictMode>,
    );
  },
  (error: unknown) => root.render(<LoadError error={error} />),
);
