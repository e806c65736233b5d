import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_the_whole_product_and_runs_from_an_empty_place(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")

    assert {name.split("/")[0] for name in names} == {
        "gateway", "schema", "resolvers", "loaders", "db", "clonegraph-0.1.0.dist-info",
    }  # fmt: skip
    assert not [name for name in names if "node_modules" in name or name.endswith((".ts", ".tsx"))]
    assert "gateway/explorer/dist/index.html" in names
    assert "gateway/explorer/examples/01-nested.graphql" in names
    assert [name for name in names if name.startswith("db/migrations/versions/0001")]
    printed = subprocess.run(
        [sys.executable, "-P", "-c", "from gateway.cli import main; main()", "schema", "print"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed"), "PYTHONSAFEPATH": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert printed.stdout == (ROOT / "schema.graphql").read_text()
