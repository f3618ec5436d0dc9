"""`repro keygen`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def keygen(
    name: Annotated[Path, typer.Argument(help="Name of the pair, such as ada: writes ada.key and ada.pub.")],
) -> None:
    """Make a key pair to sign evidence with (ed25519).

    NAME.key is private: it is encrypted if you give a passphrase, at the prompt or in REPRO_KEY_PASSWORD, and can be read by
    you alone. NAME.pub is public: hand it to your readers by a way they trust, for a signature is worth what they know of
    the key. No file is ever overwritten.

    \b
    Examples:
      repro keygen ada
      REPRO_KEY_PASSWORD=... repro keygen lab    without a prompt
    """
    from repro.cite.signing.keys import make_key_pair, new_pair

    bare = name.with_name(name.name.removesuffix(".key"))
    new_pair(bare)  # refuse before asking for a passphrase
    private, public, identity = make_key_pair(bare, new_passphrase())
    print(f"{private}  private: sign with it; whoever has it can sign in your name")
    print(f"{public}  public: give it to your readers")
    print(f"key id {identity}")
    print(f'\nSign evidence: repro sign EVIDENCE.zip --key {private} --as "Your Name"')


def new_passphrase() -> str | None:
    """Return the passphrase for a new key; None where none is wanted, or nobody can be asked."""
    given = os.environ.get("REPRO_KEY_PASSWORD")
    if given:
        return given
    if sys.stdin is None or not sys.stdin.isatty():
        print("The private key is not encrypted: no passphrase in REPRO_KEY_PASSWORD, and no terminal to ask at.")
        return None
    asked: str = typer.prompt(
        "Passphrase (empty for none)", default="", hide_input=True, confirmation_prompt=True, show_default=False
    )
    return asked or None
