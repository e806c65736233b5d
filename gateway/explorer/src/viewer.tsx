import { createContext, useContext, useEffect, useState, type ReactNode } from "react";

import type { Person } from "./config";

/** Who the requests are sent as: a person of the demo, or whoever owns a typed token. */
export interface Viewer {
  people: Person[];
  person: Person | null;
  choosePerson(email: string): void;
  ownToken: string;
  setOwnToken(token: string): void;
  /** The bearer token to send: the person's, else one's own, else none. */
  token: string | null;
  /** Why the server does not take the token; null when it does, as far as is known. */
  refusal: string | null;
  setRefusal(refusal: string | null): void;
}

/** Where sessionStorage keeps the e-mail address of the person chosen. */
export const VIEWER_KEY = "clonegraph:viewer";

const ViewerContext = createContext<Viewer | null>(null);

interface ViewerProviderProps {
  people: Person[];
  children: ReactNode;
}

export function ViewerProvider({ people, children }: ViewerProviderProps) {
  const [email, choosePerson] = useSessionValue(VIEWER_KEY);
  const [ownToken, setOwnToken] = useSessionValue("clonegraph:token");
  const [refusal, setRefusal] = useState<string | null>(null);
  const person = people.find((candidate) => candidate.email === email) ?? null;
  const token = person?.token ?? (ownToken || null);

  return (
    <ViewerContext
      value={{ people, person, choosePerson, ownToken, setOwnToken, token, refusal, setRefusal }}
    >
      {children}
    </ViewerContext>
  );
}

export function useViewer(): Viewer {
  const viewer = useContext(ViewerContext);
  if (!viewer) throw new Error("useViewer needs a ViewerProvider around it.");
  return viewer;
}

/** State that survives reloads but ends with the browser tab. */
function useSessionValue(key: string) {
  const [value, setValue] = useState(() => sessionStorage.getItem(key) ?? "");
  useEffect(() => sessionStorage.setItem(key, value), [key, value]);
  return [value, setValue] as const;
}
