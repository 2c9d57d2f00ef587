"""Make text printable, because users and files may name anything."""


def printable(text: str) -> str:
    """Show control characters, which could drive a terminal, as escapes; keep the rest."""
    if text.isprintable():  # nearly always, and tables have a hundred thousand cells
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
