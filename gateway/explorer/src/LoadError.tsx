export function LoadError({ error }: { error: unknown }) {
  return (
    <div className="notice" role="alert">
      <h1>The explorer could not start</h1>
      <p>Its settings could not be loaded from the server.</p>
      <p>
        <code>{error instanceof Error ? error.message : String(error)}</code>
      </p>
      <button type="button" onClick={() => window.location.reload()}>
        Try again
      </button>
    </div>
  );
}
