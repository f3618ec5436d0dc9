"""Markdown as a piece of a page: escaped, with places that are filled in.

A place is a piece of code in braces, `{name words}`, or a fence whose info is a name in braces. Everything else is plain
CommonMark; HTML in the text is shown as text, pictures and links that lead elsewhere than to the web are left out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup, escape

_PLACE = re.compile(r"\{(\w+)\s*([^{}]*)\}")

Inline = Callable[[str, Sequence[str]], Markup]
"""Fills a place in a line: its name and its words."""
Block = Callable[[str, Sequence[str], Sequence[str]], Markup]
"""Fills a fence: its name, the words after it, and its lines."""


def title_of(text: str) -> str:
    """Return the first heading of a text.

    >>> title_of("# Did it work?\\n\\nYes.")
    'Did it work?'
    """
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "Untitled")


def html_of(text: str, inline: Inline, block: Block) -> Markup:
    """Return Markdown as HTML with its places filled in.

    Args:
        text: the Markdown.
        inline: fills places in lines.
        block: fills fences.
    """
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")

    def code(self: Any, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
        found = _PLACE.fullmatch(tokens[index].content.strip())
        if found:
            return str(inline(found[1], found[2].split()))
        return str(
            Markup(
                '<code class="command">{}</code>' if _is_command(tokens[index].content) else "<code>{}</code>"
            ).format(tokens[index].content)
        )

    def fence(self: Any, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
        found = re.fullmatch(r"\{(\w+)\}\s*(.*)", tokens[index].info.strip())
        if found:
            lines = [line.strip() for line in tokens[index].content.splitlines() if line.strip()]
            return str(block(found[1], found[2].split(), lines))
        return str(Markup('<pre tabindex="0">{}</pre>\n').format(tokens[index].content))

    def link(self: Any, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
        href = str(tokens[index].attrGet("href") or "")
        return f'<a href="{escape(href)}" rel="noreferrer">' if _leads_to_the_web(href) else "<span>"

    def link_end(self: Any, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
        start = next(token for token in reversed(tokens[:index]) if token.type == "link_open")
        return "</a>" if _leads_to_the_web(str(start.attrGet("href") or "")) else "</span>"

    rules: Mapping[str, Callable[..., str]] = {
        "code_inline": code,
        "fence": fence,
        "link_open": link,
        "link_close": link_end,
        "table_open": lambda *_: '<div class="wide" role="region" aria-label="Table" tabindex="0">\n<table>\n',
        "table_close": lambda *_: "</table>\n</div>\n",
    }
    for name, rule in rules.items():
        reader.add_render_rule(name, rule)
    return Markup(reader.render(text))  # markdown-it escapes; HTML in the text is off


def _is_command(text: str) -> bool:
    return text.startswith(("repro ", "python -m repro"))


def _leads_to_the_web(href: str) -> bool:
    return urlsplit(href).scheme in ("http", "https")
