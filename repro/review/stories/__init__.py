"""Texts whose numbers are looked up when the page is made: tutorials, and the pages of comparisons."""
