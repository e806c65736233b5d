import mark from "./mark.svg";
import { ThemeSwitch } from "./ThemeSwitch";
import { useViewer } from "./viewer";

export function ViewerBar({ title }: { title: string }) {
  const { people, person } = useViewer();
  return (
    <header className="bar">
      <h1 className="bar-title">
        <img src={mark} alt="" width="24" height="24" />
        {title}
      </h1>
      {people.length > 0 && <PersonSelect />}
      {!person && <TokenField />}
      <ViewerStatus />
      <ThemeSwitch />
    </header>
  );
}

function PersonSelect() {
  const { people, person, choosePerson, ownToken } = useViewer();
  return (
    <label className="field">
      Viewing as
      <select
        data-testid="viewer-select"
        value={person?.email ?? ""}
        onChange={(event) => choosePerson(event.currentTarget.value)}
      >
        <option value="">{ownToken ? "Owner of the token" : "Anonymous"}</option>
        {people.map(({ name, email, role }) => (
          <option key={email} value={email}>
            {name} · {role}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The token counts once the field is left, so that typing does not refetch the schema. */
function TokenField() {
  const { ownToken, setOwnToken, refusal } = useViewer();
  return (
    <label className="field">
      Token
      <input
        className="token"
        data-testid="token-input"
        type="text"
        placeholder="JWT or service token"
        autoComplete="off"
        spellCheck={false}
        aria-invalid={Boolean(ownToken && refusal)}
        defaultValue={ownToken}
        onBlur={(event) => setOwnToken(withoutScheme(event.currentTarget.value))}
        onKeyDown={(event) => {
          if (event.key === "Enter") event.currentTarget.blur();
        }}
      />
    </label>
  );
}

function ViewerStatus() {
  const { person, ownToken, token, refusal } = useViewer();
  if (token && refusal) {
    return (
      <p className="bar-status refused" role="alert" data-testid="viewer-status" title={refusal}>
        {refusal}
      </p>
    );
  }
  const status =
    person?.about ?? (ownToken ? "Your token goes with every request." : "No token is sent.");
  return (
    <p className="bar-status" role="status" data-testid="viewer-status" title={status}>
      {status}
    </p>
  );
}

function withoutScheme(text: string) {
  return text.trim().replace(/^Bearer\s+/i, "");
}
