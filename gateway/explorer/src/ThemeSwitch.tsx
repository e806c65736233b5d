import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect } from "react";

const THEMES = [
  { value: null, label: "System", icon: <path d="M3 4.5h18v12H3zM9 20.5h6M12 16.5v4" /> },
  {
    value: "light",
    label: "Light",
    icon: (
      <>
        <circle cx="12" cy="12" r="4" />
        <path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4" />
      </>
    ),
  },
  { value: "dark", label: "Dark", icon: <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z" /> },
] as const;

/** The theme is GraphiQL's own setting, which it keeps in localStorage. */
export function ThemeSwitch() {
  const chosen = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();

  // GraphiQL follows the system with everything but the editors.
  useEffect(() => {
    if (chosen !== null) return;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setTheme(null);
    system.addEventListener("change", follow);
    return () => system.removeEventListener("change", follow);
  }, [chosen, setTheme]);

  return (
    <fieldset className="themes">
      <legend className="hidden">Theme</legend>
      {THEMES.map(({ value, label, icon }) => (
        <label key={label} title={`${label} theme`}>
          <input
            className="hidden"
            type="radio"
            name="theme"
            aria-label={label}
            checked={chosen === value}
            onChange={() => setTheme(value)}
          />
          <svg
            aria-hidden="true"
            viewBox="0 0 24 24"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.7"
            strokeLinecap="round"
            strokeLinejoin="round"
          >
            {icon}
          </svg>
        </label>
      ))}
    </fieldset>
  );
}
