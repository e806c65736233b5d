"""Text out of files: PDF, Word, Markdown, HTML and plain text.

Files come from strangers, so nothing of a file is parsed in the gateway. `extract` runs this file as a program of its
own, one for each file: it imports nothing of ours, inherits no environment and so no secrets, can write no files, and
has a limited time and memory.
"""

import asyncio
import codecs
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Final

PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MARKDOWN: Final = "text/markdown"
HTML: Final = "text/html"
PLAIN: Final = "text/plain"

SUPPORTED: Final[Mapping[str, str]] = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    ".txt": PLAIN,
}
"""What can be read: the media type of each ending."""

HEAD_BYTES: Final = 8192
"""How much of a file's beginning `media_type_of` wants to see."""

MOST_CHARACTERS: Final = 2_000_000
"""How much text a file may hold: about a thousand pages."""

MOST_SECONDS: Final = 60
"""How long a file may take to be read."""

MOST_MEMORY: Final = 1024**3
"""What reading a file may take, in bytes, with the program itself."""

MOST_MARKUP: Final = 8 * MOST_CHARACTERS
"""How large an HTML page may be, in bytes."""

MOST_UNPACKED: Final = 200_000_000
"""How large a Word document may be when it is unpacked, in bytes."""

WRONG_TYPE: Final = (
    "This is not a PDF, Word (.docx), Markdown, HTML or plain text file. Save it as one of these, and upload that."
)
EMPTY: Final = "The file is empty. Upload it again with what belongs into it."
NO_TEXT: Final = "There is no text in the file. Upload one that has text."
SCAN: Final = "The PDF holds images only, and no text. Run text recognition (OCR) over it, and upload the result."
PROTECTED: Final = "The PDF is protected with a password. Upload a copy without one."
DAMAGED: Final = "The file is damaged. Open it where it was made, save it again, and upload that."
TOO_LONG: Final = f"The file holds more than {MOST_CHARACTERS:,} characters of text. Split it into several files."
TOO_LARGE: Final = (
    f"Unpacked, the file is larger than {MOST_UNPACKED // 1_000_000} MB. Save it without its images, and upload that."
)
TOO_SLOW: Final = (
    f"The file took more than {MOST_SECONDS} seconds to read. Split it into several files, or save it as plain text."
)
TOO_HEAVY: Final = (
    "The file takes too much memory to read. Split it into several files, or save it as plain text, and upload that."
)


class Unreadable(Exception):
    """There is no text to be had from a file. The message says why, and what to do."""


async def extract(path: Path, media_type: str, *, most_seconds: float = MOST_SECONDS) -> str:
    """The text of a file; its headings are Markdown's. Raises Unreadable."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-X",
        "utf8",
        __file__,
        str(path),
        media_type,
        env={},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        async with asyncio.timeout(most_seconds):
            told, _ = await program.communicate()
    except TimeoutError as error:
        raise Unreadable(TOO_SLOW) from error
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    outcome, _, text = told.decode().partition("\n")
    if outcome == "text":
        return text
    if outcome == "unreadable":
        raise Unreadable(text)
    raise Unreadable(TOO_SLOW if program.returncode == -_OUT_OF_TIME else TOO_HEAVY)


_OUT_OF_TIME = 24  # SIGXCPU
_TEXTS = (MARKDOWN, HTML, PLAIN)
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))


def media_type_of(name: str, head: bytes) -> str | None:
    """The media type of a file, by its first bytes and then by the ending of its name. None if it cannot be read.

    An ending that contradicts the bytes counts for nothing: an image that is called `.pdf` is not supported.
    """
    by_ending = SUPPORTED.get(PurePath(name.strip()).suffix.lower())
    if not head:
        return by_ending
    if b"%PDF-" in head[:1024]:
        return PDF
    if head.startswith(b"PK\x03\x04"):
        return _in_archive(head, by_ending)
    if not _is_text(head):
        return None
    if _begins_as_html(head) and by_ending != MARKDOWN:
        return HTML
    return by_ending if by_ending in _TEXTS else None


def _in_archive(head: bytes, by_ending: str | None) -> str | None:
    """Word's documents are archives, like those of other programs. The names in it tell which."""
    if b"word/" in head:
        return DOCX
    if b"xl/" in head or b"ppt/" in head:
        return None
    return by_ending if by_ending == DOCX else None


def _is_text(head: bytes) -> bool:
    """Whether bytes are characters of some kind."""
    if head.startswith(_BYTE_ORDER_MARKS):
        return True
    if 0 in head:
        return _utf_16(head) is not None
    return len(head.translate(None, delete=_CONTROLS)) == len(head)


def _utf_16(head: bytes) -> str | None:
    """The encoding of UTF-16 that does not say so: every other byte of western text is zero."""
    for encoding, zeros, letters in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros.count(0) > len(zeros) / 2 and 0 not in letters:
            return encoding
    return None


def _begins_as_html(head: bytes) -> bool:
    beginning = head.removeprefix(_BYTE_ORDER_MARKS[0]).lstrip()[:15].lower()
    return beginning.startswith((b"<!doctype html", b"<html"))


# What follows runs in a program of its own.


def _main(path: Path, media_type: str) -> None:
    _limit()
    try:
        text = _read(path, media_type)
    except Unreadable as error:
        told = f"unreadable\n{error}"
    except MemoryError:
        told = f"unreadable\n{TOO_HEAVY}"
    except Exception:  # noqa: BLE001 (of whatever kind: the libraries raise what they like on what was not written right)
        told = f"unreadable\n{TOO_HEAVY if _is_heavy() else DAMAGED}"
    else:
        told = f"text\n{text}"
    sys.stdout.write(told)


def _limit() -> None:
    """Give this program little to work with, where the system can do so."""
    import resource
    from contextlib import suppress

    for limited, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(limited, (most, most))


def _is_heavy() -> bool:
    """Whether this program came near its limit of memory: libraries have their own words for that."""
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024 > MOST_MEMORY * 0.7


def _read(path: Path, media_type: str) -> str:
    if not path.stat().st_size:
        raise Unreadable(EMPTY)
    text = _clean("".join(_bounded(READERS[media_type](path))))
    if not text:
        raise Unreadable(SCAN if media_type == PDF else NO_TEXT)
    return text


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    """The parts of a text, unless they are too much together."""
    characters = 0
    for part in parts:
        characters += len(part)
        if characters > MOST_CHARACTERS:
            raise Unreadable(TOO_LONG)
        yield part


def _clean(text: str) -> str:
    """A text without what PostgreSQL cannot keep, and without what cannot be seen."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ufeff\ud800-\udfff]", "", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip()


def _read_text(path: Path) -> Iterator[str]:
    if path.stat().st_size > MOST_CHARACTERS * 4:
        raise Unreadable(TOO_LONG)
    yield _decoded(path.read_bytes())


def _decoded(content: bytes) -> str:
    """Text in the encoding that it says, or that it seems to have."""
    if content.startswith(codecs.BOM_UTF8):
        return content.decode("utf-8-sig", errors="replace")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if 0 in content[:HEAD_BYTES] and (encoding := _utf_16(content[:HEAD_BYTES])):
        return content.decode(encoding, errors="replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        import charset_normalizer

        found = charset_normalizer.from_bytes(content[: 16 * HEAD_BYTES]).best()
        return content.decode(found.encoding if found else "cp1252", errors="replace")


def _read_html(path: Path) -> Iterator[str]:
    """The words of a page and its headings, without what is there to be clicked or computed."""
    from selectolax.lexbor import LexborHTMLParser

    if path.stat().st_size > MOST_MARKUP:
        raise Unreadable(TOO_HEAVY)
    content = path.read_bytes()
    declared = re.search(rb"<meta[^>]+charset=[\"']?([\w-]+)", content[:HEAD_BYTES], re.IGNORECASE)
    try:
        page = LexborHTMLParser(content.decode(declared[1].decode()) if declared else _decoded(content))
    except (LookupError, UnicodeDecodeError):
        page = LexborHTMLParser(_decoded(content))
    title = page.css_first("title")
    name = " ".join(title.text().split()) if title else ""
    page.strip_tags([*UNREAD])
    root = page.css_first("main") or page.css_first("article") or page.body
    if root is None:
        return
    for level in range(1, 7):
        for heading in root.css(f"h{level}"):
            heading.insert_before(f"{BREAK}{'#' * level} ")
            heading.insert_after(BREAK)
    for block in root.css(BLOCKS):
        block.insert_before(BREAK)
        block.insert_after(BREAK)
    if name and not root.css_first("h1"):
        yield f"# {name}\n\n"
    blocks = (" ".join(block.split()) for block in root.text().split(BREAK))
    yield "\n\n".join(filter(None, blocks))


BREAK: Final = "\x1e"
BLOCKS: Final = "p, li, dt, dd, div, section, blockquote, pre, tr, br, figcaption"
UNREAD: Final = ("script", "style", "noscript", "template", "nav", "footer", "aside", "iframe", "svg", "form", "button")


def _read_pdf(path: Path) -> Iterator[str]:
    import pypdf

    reader = pypdf.PdfReader(path)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable(PROTECTED)
    for page in reader.pages:
        words = re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", page.extract_text())
        yield re.sub(r"(?<!\n)\n(?!\n)", " ", words) + "\n\n"


def _read_docx(path: Path) -> Iterator[str]:
    """The paragraphs and tables of a Word document, in their order."""
    import zipfile

    import docx
    from docx.table import Table

    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
            raise Unreadable(TOO_LARGE)
    for block in docx.Document(str(path)).iter_inner_content():
        if isinstance(block, Table):
            for row in block.rows:
                yield " | ".join(dict.fromkeys(cell.text.strip() for cell in row.cells)) + "\n"
            yield "\n"
            continue
        style = (block.style and block.style.name) or ""
        level = "1" if style == "Title" else style.removeprefix("Heading ")
        yield f"{'#' * int(level)} {block.text}\n\n" if level.isdigit() and block.text else f"{block.text}\n\n"


READERS: Final[Mapping[str, Callable[[Path], Iterator[str]]]] = {
    PDF: _read_pdf,
    DOCX: _read_docx,
    MARKDOWN: _read_text,
    HTML: _read_html,
    PLAIN: _read_text,
}

if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
