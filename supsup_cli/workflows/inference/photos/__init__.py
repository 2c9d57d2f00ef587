"""Photos, once it is known what they show: drawn on a contact sheet, sorted into folders."""
