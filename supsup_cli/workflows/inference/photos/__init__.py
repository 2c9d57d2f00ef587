"""Photos after classification: draw a contact sheet, sort them into folders."""
