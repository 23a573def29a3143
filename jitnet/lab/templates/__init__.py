"""The HTML page of the report, with its style, which the page of grades shares, and the coordinates of its pictures."""
