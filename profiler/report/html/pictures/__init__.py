"""The pictures of the page, one file each: what is drawn, told and tabulated; the drawing itself is in assets/."""
