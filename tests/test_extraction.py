"""Text is taken out of files of many kinds, and where there is none, the reason says what to do."""

import asyncio
import io
import os
import zipfile
from pathlib import Path

import docx
import psutil
import pypdf
import pytest

from resolvers.provisioning import extraction
from resolvers.provisioning.extraction import DOCX, HTML, MARKDOWN, PDF, PLAIN, Unreadable, extract, media_type_of

MEGABYTE = 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01"


def pdf(*lines: str) -> bytes:
    """A PDF of one page."""
    shown = " ".join(f"({line}) Tj 0 -16 Td" for line in lines)
    resources = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    content = f"BT /F1 12 Tf 50 750 Td {shown} ET"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources {resources} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    )
    written, offsets = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(written))
        written += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    return (
        f"{written}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    ).encode("latin-1")


def encrypted(content: bytes, password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(content))
    writer.encrypt(password, owner_password="the owner's", algorithm="AES-256")  # noqa: S106
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def scan() -> bytes:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(595, 842)
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.add_heading("The pond", 1)
    document.add_paragraph("Frogs live in it.")
    document.add_heading("In winter", 2)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Ice", "ten centimetres"
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


def bomb(megabytes: int, part: str = "word/media/image1.png", content: bytes = bytes(4)) -> bytes:
    """A Word document of a few kilobytes that is large when it is unpacked."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word())) as source,
        zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            if name != part:
                target.writestr(name, source.read(name))
        target.writestr(part, b"<a>" + content * (megabytes * MEGABYTE // len(content)) + b"</a>")
    return written.getvalue()


def read(folder: Path, name: str, content: bytes, **options: float) -> str:
    path = folder / name
    path.write_bytes(content)
    media_type = media_type_of(name, content[: extraction.HEAD_BYTES])
    assert media_type
    return asyncio.run(extract(path, media_type, **options))


def why(folder: Path, name: str, content: bytes, **options: float) -> str:
    with pytest.raises(Unreadable) as raised:
        read(folder, name, content, **options)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "head", "media_type"),
    [
        ("a.pdf", b"%PDF-1.7\n", PDF),
        ("called-wrongly.txt", b"%PDF-1.7\n", PDF),
        ("a.docx", word()[: extraction.HEAD_BYTES], DOCX),
        ("a.xlsx", b"PK\x03\x04..xl/workbook.xml", None),
        ("a.zip", b"PK\x03\x04..readme", None),
        ("A.MD", b"# Title", MARKDOWN),
        ("a.htm", b"<p>hello", HTML),
        ("page.txt", b"\n<!DOCTYPE html><p>", HTML),
        ("a.txt", "Grüße".encode("cp1252"), PLAIN),
        ("a.txt", "Grüße".encode("utf-16"), PLAIN),
        ("a.txt", "Grüße".encode("utf-16-le"), PLAIN),
        ("a.txt", b"", PLAIN),
        ("image.pdf", PNG, None),
        ("image.txt", PNG, None),
        ("setup.exe", b"MZ\x90\x00\x03\x00\x00", None),
        ("setup.txt", b"MZ\x90\x00\x03\x00\x00", None),
        ("text.pdf", b"only text", None),
        ("a.csv", b"a,b", None),
        ("noending", b"text", None),
    ],
)
def test_what_is_in_a_file_counts_and_then_its_ending(name: str, head: bytes, media_type: str | None) -> None:
    assert media_type_of(name, head) == media_type


def test_a_pdf_gives_its_lines_as_one_paragraph(tmp_path: Path) -> None:
    text = read(tmp_path, "a.pdf", pdf("Frogs live in the pond and sing at", "night, all sum-", "mer long."))

    assert text == "Frogs live in the pond and sing at night, all summer long."


def test_a_pdf_that_everybody_may_open_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "a.pdf", encrypted(pdf("Frogs."), "")) == "Frogs."


def test_a_word_document_gives_headings_paragraphs_and_tables(tmp_path: Path) -> None:
    text = read(tmp_path, "a.docx", word())

    assert text == "# The pond\n\nFrogs live in it.\n\n## In winter\n\nIce | ten centimetres"


def test_markdown_stays_as_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, "a.md", b"# Pond\r\n\r\nFrogs  \r\n") == "# Pond\n\nFrogs"


def test_a_page_gives_its_words_without_scripts_and_navigation(tmp_path: Path) -> None:
    page = """<!doctype html><title>The pond</title><script>var x = 1</script><style>p {}</style>
        <body><nav><a>Home</a></nav><h2>In <b>winter</b></h2>Loose words.<p>Frogs
        sleep.</p><ul><li>one</li><li>two</li></ul><form><button>Buy</button></form><footer>Imprint</footer>"""

    text = read(tmp_path, "a.html", page.encode())

    assert text == "# The pond\n\n## In winter\n\nLoose words.\n\nFrogs sleep.\n\none\n\ntwo"


def test_a_page_says_its_encoding(tmp_path: Path) -> None:
    page = '<html><meta charset="iso-8859-2"><p>Żółw</p>'

    assert read(tmp_path, "a.html", page.encode("iso-8859-2")) == "Żółw"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_text_is_read_in_many_encodings(tmp_path: Path, encoding: str) -> None:
    words = "Die Frösche überwintern im Teich, sagt Jürgen Müßig, und träumen von Käfern und schönen Tagen."

    assert read(tmp_path, "a.txt", words.encode(encoding)) == words


def test_what_postgresql_cannot_keep_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\x00two\x07three")

    assert asyncio.run(extract(path, PLAIN)) == "onetwothree"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("broken.pdf", pdf("Frogs.")[:200], "damaged"),
        ("broken.docx", word()[:1500], "damaged"),
        ("secret.pdf", encrypted(pdf("Frogs."), "sesame"), "password"),
        ("scan.pdf", scan(), "OCR"),
        ("empty.md", b"", "empty"),
        ("blank.txt", b" \n\t\n", "no text"),
        ("blank.html", b"<html><script>var x = 1</script></html>", "no text"),
        ("bomb.docx", bomb(250), "larger than 200 MB"),
        ("long.md", b"word " * 500_000, "more than 2,000,000 characters"),
        ("long.html", b"<html><p>" + b"word " * 500_000, "more than 2,000,000 characters"),
    ],
)
def test_a_file_without_text_says_why_and_what_to_do(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    told = why(tmp_path, name, content)

    assert reason in told
    assert told.endswith((".", ".)"))
    assert any(act in told for act in ("Upload", "upload", "Split", "save"))


def test_a_file_that_takes_too_long_is_given_up_and_its_program_ends(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))

    told = why(tmp_path, "a.pdf", pdf("Frogs."), most_seconds=0.01)

    assert told == extraction.TOO_SLOW
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_file_that_takes_too_much_memory_is_given_up(tmp_path: Path) -> None:
    assert why(tmp_path, "a.docx", bomb(60, "word/styles.xml", b"<a/>")) == extraction.TOO_HEAVY
    assert why(tmp_path, "a.html", b"<html>" + b"<p>x</p>" * 3_000_000) == extraction.TOO_HEAVY


def test_whoever_reads_files_has_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"""
import runpy, sys
runpy.run_path({extraction.__file__!r})["_limit"]()
try:
    bytearray({2 * extraction.MOST_MEMORY})
except MemoryError:
    sys.stdout.write("text\\nlimited")
    """)
    monkeypatch.setattr(extraction, "__file__", str(program))

    assert read(tmp_path, "a.txt", b"x") == "limited"


def test_whoever_reads_files_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    program = tmp_path / "program.py"
    program.write_text("import os, sys\nsys.stdout.write('text\\n' + str(sorted(os.environ)))")
    monkeypatch.setattr(extraction, "__file__", str(program))

    known = read(tmp_path, "a.txt", b"x")

    assert "OPENAI_API_KEY" in os.environ
    assert "OPENAI" not in known
