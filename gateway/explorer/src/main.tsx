import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./styles.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import { loadConfig } from "./config";
import { LoadError } from "./LoadError";
import { welcomeNewcomer } from "./welcome";

const root = createRoot(document.getElementById("root")!);

loadConfig().then(
  (config) => {
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
