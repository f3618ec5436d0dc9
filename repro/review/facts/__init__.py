"""What the pages say of claims and attempts, worked out from the book; nothing here knows how a page looks."""
