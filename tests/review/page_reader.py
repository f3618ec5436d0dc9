"""A page as a test reads it."""

from html.parser import HTMLParser

INLINE = {"a", "code", "strong", "em", "data", "cite", "wbr"}
VOID = {"meta", "link", "img", "source", "input", "br", "wbr"}


class Page(HTMLParser):
    """Text, elements and attributes of a page; fails on a tag that is not closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._part_from_neighbours(tag)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes nothing"
        self._part_from_neighbours(tag)

    def _part_from_neighbours(self, tag: str) -> None:
        self.text += "" if tag in INLINE else " "

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def own_scripts_only(self) -> bool:
        """Whether the page runs our two scripts and nothing else."""
        found = [script.get("src") or "" for script in self.all("script")]
        return [name.rpartition("static/")[2] for name in found] == ["table.js", "copy.js"] and not any(
            ":" in x for x in found
        )

    @property
    def words(self) -> str:
        return " ".join(self.text.split())
